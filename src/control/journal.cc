// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/journal.h"

#ifdef POSTERN_JOURNAL
#include <sys/uio.h>
#include <syslog.h>
#define SD_JOURNAL_SUPPRESS_LOCATION  // every line would come from the same place
#include <systemd/sd-journal.h>

#include <string>
#include <vector>

#include "base/log_fields.h"
#include "control/log_format.h"

namespace postern::control {
namespace {

std::string entry(std::string_view key, const std::string& value) {
  std::string text = "POSTERN_";
  for (const char c : key)
    text += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text + "=" + value;
}

}  // namespace

void send_to_journal(const LogLine& line) {
  LogFields fields(line);
  std::vector<std::string> entries = {
      "MESSAGE=" + line.text(),
      "PRIORITY=" + std::to_string(priority(line.severity())),
      "SYSLOG_IDENTIFIER=postern",
      "SYSLOG_FACILITY=" + std::to_string(LOG_MAIL >> 3),
      "POSTERN_EVENT=" + std::string(fields.event()),
  };
  while (const std::optional<LogFields::Field> field = fields.next())
    entries.push_back(entry(field->key, field->value()));
  std::vector<iovec> vectors;
  vectors.reserve(entries.size());
  for (std::string& text : entries)
    vectors.push_back({text.data(), text.size()});
  (void)sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size()));
}

}  // namespace postern::control
#else
namespace postern::control {

void send_to_journal(const LogLine&) {}

}  // namespace postern::control
#endif
