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

std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

Table listener_table(const UsualListener& listener) {
  Table table{"listen", std::string(listener.name), {}};
  table.lines = {{"protocol", in_quotes(session::dialect_word(listener.dialect))},
                 {"addresses", "[\"127.0.0.1:" + std::to_string(listener.port) + "\"]"},
                 {"tls", in_quotes(listener.tls)}};
  if (listener.tls == "none") table.lines.emplace_back("login_without_tls", "true");
  if (listener.dialect == Dialect::Alpn) {
    table.lines.emplace_back("pools", "[\"default\", \"pop3\", \"submission\", \"sieve\"]");
  } else if (listener.dialect != Dialect::Imap) {
    table.lines.emplace_back("pool", in_quotes(words_in(listener.dialect).pool));
  }
  return table;
}

// Mail servers here play what the dialog says, and nothing else.
Table pool_table(const std::string& name) {
  return {"pool",
          name,
          {{"protocol", in_quotes(session::dialect_word(dialect_of_pool(name)))},
           {"members", "[\"127.0.1.1\"]"},
           {"check_interval", "\"0s\""}}};
}

std::vector<Table> usual(const Dialog& dialog) {
  std::vector<Table> tables = {
      {"gate", "", {{"hostname", "\"mail.example.test\""}}},
      {"tls.certificate", "mail", {{"chain", "\"@mail.crt\""}, {"key", "\"@mail.key\""}}},
      {"tls.certificate", "other", {{"chain", "\"@other.crt\""}, {"key", "\"@other.key\""}}},
  };
  std::set<std::string> pools = {"default"};
  for (const UsualListener& listener : usual_listeners()) {
    const bool named = dialog.listeners.contains(listener.name);
    if (listener.dialect != Dialect::Imap && !named) continue;
    tables.push_back(listener_table(listener));
    if (listener.dialect == Dialect::Alpn) pools.insert({"pop3", "submission", "sieve"});
    pools.emplace(words_in(listener.dialect).pool);
  }
  for (const std::string& pool : pools)
    tables.push_back(pool_table(pool));
  return tables;
}

void apply(const Setting& setting, std::vector<Table>& tables) {
  const auto is_it = [&](const Table& table) { return table.section == setting.section && table.name == setting.name; };
  auto table = std::find_if(tables.begin(), tables.end(), is_it);
  if (setting.key.empty()) {
    if (table != tables.end()) tables.erase(table);
    return;
  }
  if (table == tables.end()) {
    tables.push_back(setting.section == "pool" ? pool_table(setting.name) : Table{setting.section, setting.name, {}});
    table = tables.end() - 1;
  }
  for (auto& [key, value] : table->lines) {
    if (key != setting.key) continue;
    value = setting.value;
    return;
  }
  table->lines.emplace_back(setting.key, setting.value);
}

// Members stand without their port; a weight may follow.
std::string with_ports(const std::string& members, const Table& pool) {
  static const std::regex address("\"([0-9.]+|\\[[0-9a-f:]+\\])( [^\"]*)?\"");
  std::string_view protocol = pool.lines.front().second;
  const Dialect dialect = dialect_of_word(protocol.substr(1, protocol.size() - 2));
  return std::regex_replace(members, address, "\"$1:" + std::string(words_in(dialect).back_port) + "$2\"");
}

}  // namespace

std::string configuration(const Dialog& dialog, const std::string& certificates) {
  std::vector<Table> tables = usual(dialog);
  for (const Setting& setting : dialog.settings)
    apply(setting, tables);
  std::string text;
  for (const Table& table : tables) {
    const bool repeated = !table.name.empty();
    text += (repeated ? "[[" : "[") + table.section + (repeated ? "]]\n" : "]\n");
    if (table.section == "listen" || table.section == "pool") text += "name = \"" + table.name + "\"\n";
    for (const auto& [key, value] : table.lines) {
      std::string line = key == "members" ? with_ports(value, table) : value;
      if (const size_t at = line.find("\"@"); at != line.npos) line.replace(at + 1, 1, certificates + "/");
      text += key + " = " + line + "\n";
    }
  }
  return text;
}

}  // namespace postern::dialog
