// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/log_format.h"

#include <syslog.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/log_fields.h"

namespace postern::control {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json, Json::error_handler_t wrong_bytes) {
  return json.dump(-1, ' ', false, wrong_bytes);
}

bool is_utf8(const std::string& value) {
  const Json json = value;
  return dump(json, Json::error_handler_t::ignore) == dump(json, Json::error_handler_t::replace);
}

// What the line has between its quotation marks, but for line ends, which are \x0a like every other control character.
std::string escaped(std::string_view value) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e) {
      text += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    } else {
      if (c == '\\') text += c;
      text += c;
    }
  }
  return text;
}

void add(Json& json, const LogFields::Field& field) {
  const std::string key(field.key);
  std::string value = field.value();
  if (field.is_number) {
    uint64_t number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    json[key] = number;
    return;
  }
  if (!is_utf8(value)) json[key + "_escaped"] = escaped(value);
  json[key] = std::move(value);
}

}  // namespace

int priority(Severity severity) {
  switch (severity) {
    case Severity::Error: return LOG_ERR;
    case Severity::Warning: return LOG_WARNING;
    case Severity::Notice: return LOG_NOTICE;
    case Severity::Info: return LOG_INFO;
    case Severity::Debug: return LOG_DEBUG;
  }
  return LOG_INFO;
}

std::string timestamp(const timespec& when) {
  tm parts;
  gmtime_r(&when.tv_sec, &parts);
  char text[40];
  const size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  const std::string thousandths = std::to_string(1000 + when.tv_nsec / 1'000'000);
  return std::string(text, size) + "." + thousandths.substr(1) + "Z";
}

std::string text_line(const LogLine& line, const timespec& when) {
  std::string text = timestamp(when);
  text += ' ';
  text += severity_word(line.severity());
  text += ' ';
  text += line.text();
  text += '\n';
  return text;
}

std::string systemd_line(const LogLine& line) {
  return "<" + std::to_string(priority(line.severity())) + ">" + line.text() + "\n";
}

std::string json_object(const LogLine& line, const timespec& when) {
  LogFields fields(line);
  Json json;
  json["time"] = timestamp(when);
  json["severity"] = severity_word(line.severity());
  json["event"] = fields.event();
  while (const std::optional<LogFields::Field> field = fields.next())
    add(json, *field);
  return dump(json, Json::error_handler_t::replace);
}

}  // namespace postern::control
