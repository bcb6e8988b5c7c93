// SPDX-License-Identifier: GPL-3.0-or-later
// The gate's configuration of a dialog: what all have in common, changed by the dialog's `set` lines.
#include <algorithm>
#include <utility>

#include "script.h"

namespace postern::dialog {
namespace {

struct Table {
  std::string section, name;
  std::vector<std::pair<std::string, std::string>> lines;
};

std::vector<Table> usual() {
  return {
      {"gate", "", {{"hostname", "\"mail.example.test\""}}},
      {"tls.certificate", "mail", {{"chain", "\"@mail.crt\""}, {"key", "\"@mail.key\""}}},
      {"tls.certificate", "other", {{"chain", "\"@other.crt\""}, {"key", "\"@other.key\""}}},
      {"listen", "imaps", {{"protocol", "\"imap\""}, {"addresses", "[\"127.0.0.1:993\"]"}, {"tls", "\"implicit\""}}},
      {"listen", "imap", {{"protocol", "\"imap\""}, {"addresses", "[\"127.0.0.1:143\"]"}, {"tls", "\"starttls\""}}},
      {"listen",
       "plain",
       {{"protocol", "\"imap\""},
        {"addresses", "[\"127.0.0.1:10143\"]"},
        {"tls", "\"none\""},
        {"login_without_tls", "true"}}},
      {"pool", "default", {{"protocol", "\"imap\""}, {"members", "[\"127.0.1.1\"]"}}},
  };
}

void apply(const Setting& setting, std::vector<Table>& tables) {
  const auto is_it = [&](const Table& table) { return table.section == setting.section && table.name == setting.name; };
  auto table = std::find_if(tables.begin(), tables.end(), is_it);
  if (setting.key.empty()) {
    if (table != tables.end()) tables.erase(table);
    return;
  }
  if (table == tables.end()) {
    tables.push_back({setting.section, setting.name, {}});
    if (setting.section == "pool") tables.back().lines.emplace_back("protocol", "\"imap\"");
    table = tables.end() - 1;
  }
  for (auto& [key, value] : table->lines) {
    if (key != setting.key) continue;
    value = setting.value;
    return;
  }
  table->lines.emplace_back(setting.key, setting.value);
}

// Members stand without their port.
std::string with_ports(const std::string& members) {
  static const std::regex address("\"([0-9.]+|\\[[0-9a-f:]+\\])\"");
  return std::regex_replace(members, address, "\"$1:143\"");
}

}  // namespace

std::string configuration(const Dialog& dialog, const std::string& certificates) {
  std::vector<Table> tables = usual();
  for (const Setting& setting : dialog.settings)
    apply(setting, tables);
  std::string text;
  for (const Table& table : tables) {
    const bool repeated = !table.name.empty();
    text += (repeated ? "[[" : "[") + table.section + (repeated ? "]]\n" : "]\n");
    if (table.section == "listen" || table.section == "pool") text += "name = \"" + table.name + "\"\n";
    for (const auto& [key, value] : table.lines) {
      std::string line = key == "members" ? with_ports(value) : value;
      if (const size_t at = line.find("\"@"); at != line.npos) line.replace(at + 1, 1, certificates + "/");
      text += key + " = " + line + "\n";
    }
  }
  return text;
}

}  // namespace postern::dialog
