// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/options.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <utility>

#include "config/document.h"
#include "config/words.h"
#include "helper/names.h"

namespace postern::helper {
namespace {

using config::Place;
using config::Value;

constexpr size_t file_size_max = 4 << 20;
// What fits into the kernel's address of a Unix socket.
constexpr size_t socket_size_max = 107;

struct Problem {
  Place place;
  std::string text;
};

std::string found(const Value& value) {
  switch (value.kind) {
    case Value::Kind::Table: return "a table";
    case Value::Kind::List: return "a list";
    case Value::Kind::Text: return config::quoted(value.text);
    case Value::Kind::Integer:
    case Value::Kind::Float:
    case Value::Kind::Bool: return value.text;
    case Value::Kind::Date: return "a date";
  }
  return "something else";
}

struct Unit {
  std::string_view word;
  uint64_t amount;
};
constexpr Unit duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
constexpr Unit memory_units[] = {{"KiB", 1}, {"MiB", 1024}, {"GiB", 1024 * 1024}};

// Takes the settings of one table by name. What was asked for by nobody is unknown; what does not fit is a problem, and
// the variable keeps its default.
class TableReader {
 public:
  // `heading`: "[[source]]", or empty for the top of the file.
  TableReader(const Value& table, std::string heading, std::vector<Problem>& problems)
      : table_(table), heading_(std::move(heading)), problems_(problems) {}

  const Value* take(std::string_view key) {
    known_.push_back(key);
    for (const config::Entry& entry : table_.entries) {
      if (entry.key == key) return &entry.value;
    }
    return nullptr;
  }

  void wrong(const Value& value, std::string_view key, const std::string& what) {
    const std::string end = what.ends_with('?') ? "" : ".";
    problems_.push_back(
        {value.place, std::string(key) + (heading_.empty() ? "" : " in " + heading_) + " " + what + end});
  }
  void wrong_kind(const Value& value, std::string_view key, const std::string& wanted) {
    wrong(value, key, "must be " + wanted + "; found " + found(value));
  }
  void missing(Place place, std::string_view key, const std::string& example) {
    problems_.push_back({place, heading_ + " lacks " + std::string(key) + ". Write, for example: " + example});
  }

  void text(std::string_view key, std::string& into) {
    const Value* value = take(key);
    if (value == nullptr) return;
    if (value->kind != Value::Kind::Text || value->text.empty()) return wrong_kind(*value, key, "a text in quotes");
    into = value->text;
  }
  // Says nothing of what was found: it may be a password without its quotes.
  void secret(std::string_view key, Secret& into) {
    const Value* value = take(key);
    if (value == nullptr) return;
    if (value->kind != Value::Kind::Text || value->text.empty()) return wrong(*value, key, "must be a text in quotes");
    into = Secret(value->text);
  }

  void path(std::string_view key, std::string& into, size_t size_max = 4095) {
    const Value* value = take(key);
    if (value == nullptr) return;
    const bool whole =
        value->kind == Value::Kind::Text && value->text.starts_with('/') && value->text.find('\0') == std::string::npos;
    if (!whole) return wrong_kind(*value, key, "a path in quotes, from \"/\" on");
    if (value->text.size() > size_max) {
      return wrong(*value, key, "is longer than " + std::to_string(size_max) + " bytes");
    }
    into = value->text;
  }

  void number(std::string_view key, uint32_t min, uint32_t max, uint32_t& into) {
    const Value* value = take(key);
    if (value == nullptr) return;
    if (value->kind != Value::Kind::Integer || value->integer < min || value->integer > max) {
      return wrong_kind(*value, key, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    }
    into = static_cast<uint32_t>(value->integer);
  }

  void duration(std::string_view key, Duration min, Duration max, Duration& into) {
    const std::string range = config::duration_text(static_cast<uint64_t>(min.count())) + "\" to \"" +
                              config::duration_text(static_cast<uint64_t>(max.count()));
    uint64_t ms = static_cast<uint64_t>(into.count());
    amount(key, duration_units, static_cast<uint64_t>(min.count()), static_cast<uint64_t>(max.count()),
           "a duration in quotes, from \"" + range + "\"", ms);
    into = Duration(ms);
  }

  void memory(std::string_view key, uint32_t min_kib, uint32_t max_kib, uint32_t& into_kib) {
    const std::string range =
        config::size_text(uint64_t{min_kib} * 1024) + "\" to \"" + config::size_text(uint64_t{max_kib} * 1024);
    uint64_t kib = into_kib;
    amount(key, memory_units, min_kib, max_kib, "a size in quotes, from \"" + range + "\"", kib);
    into_kib = static_cast<uint32_t>(kib);
  }

  // Everything that was asked for is taken: the rest is unknown.
  void finish() {
    for (const config::Entry& entry : table_.entries) {
      if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
      const std::string_view meant = config::nearest(entry.key, known_);
      std::vector<std::string> names(known_.begin(), known_.end());
      const std::string hint = meant.empty() ? "it has " + config::listed(names, "and") + "."
                                             : "did you mean " + config::quoted(meant) + "?";
      problems_.push_back({entry.place, (heading_.empty() ? "the file" : heading_) + " has no setting " +
                                            config::quoted(entry.key) + "; " + hint});
    }
  }

 private:
  void amount(std::string_view key, std::span<const Unit> units, uint64_t min, uint64_t max, const std::string& wanted,
              uint64_t& into) {
    const Value* value = take(key);
    if (value == nullptr) return;
    if (value->kind != Value::Kind::Text) return wrong_kind(*value, key, wanted);
    uint64_t number = 0;
    const char* const end = value->text.data() + value->text.size();
    const auto [rest, error] = std::from_chars(value->text.data(), end, number);
    const std::string_view word(rest, static_cast<size_t>(end - rest));
    for (const Unit& unit : units) {
      if (error != std::errc() || unit.word != word || number > max / unit.amount) continue;
      if (number * unit.amount < min) break;
      into = number * unit.amount;
      return;
    }
    wrong_kind(*value, key, wanted);
  }

  const Value& table_;
  const std::string heading_;
  std::vector<Problem>& problems_;
  std::vector<std::string_view> known_;
};

// An attribute may be a text, a number, or a list of texts where it takes several.
std::optional<std::string> attribute_value(const Value& value) {
  if (value.kind == Value::Kind::Text || value.kind == Value::Kind::Integer) return value.text;
  if (value.kind != Value::Kind::List) return std::nullopt;
  std::string text;
  for (const Value& item : value.items) {
    if (item.kind != Value::Kind::Text || item.text.empty()) return std::nullopt;
    text += (text.empty() ? "" : ",") + item.text;
  }
  return text;
}

void read_route(TableReader& reader, const Value& table, Route& route, std::vector<Problem>& problems) {
  for (const RouteAttribute& attribute : route_attributes()) {
    const Value* value = reader.take(attribute.name);
    if (value == nullptr) continue;
    const std::optional<std::string> text = attribute_value(*value);
    if (attribute.secret && value->kind != Value::Kind::Text) {
      reader.wrong(*value, attribute.name, "must be a text in quotes");
      continue;
    }
    if (!text || text->empty()) {
      reader.wrong_kind(*value, attribute.name, std::string(attribute.form));
      continue;
    }
    const absl::Status status = set_attribute(route, attribute.name, *text);
    if (status.ok()) continue;
    // A secret is not shown to whoever reads the log.
    const std::string shown = attribute.secret ? "" : "is " + config::quoted(*text) + ", which ";
    reader.wrong(*value, attribute.name, shown + std::string(status.message()));
  }
  const absl::Status status = check_route(route);
  if (!status.ok()) problems.push_back({table.place, "[[source]]: " + std::string(status.message()) + "."});
}

SqliteOptions read_sqlite(TableReader& reader) {
  SqliteOptions options;
  reader.path("database", options.database);
  Duration busy(options.busy_timeout_ms);
  reader.duration("busy_timeout", Duration(0), std::chrono::minutes(1), busy);
  options.busy_timeout_ms = static_cast<uint32_t>(busy.count());
  return options;
}

PasswdFileOptions read_passwd_file(TableReader& reader, const Value& table) {
  PasswdFileOptions options;
  if (reader.take("file") == nullptr) reader.missing(table.place, "file", "file = \"/etc/postern/users\"");
  reader.path("file", options.file);
  return options;
}

StaticOptions read_static(TableReader& reader, const Value& table) {
  StaticOptions options;
  const Value* match = reader.take("match");
  const std::optional<std::string> patterns = match != nullptr ? attribute_value(*match) : std::nullopt;
  if (match == nullptr) {
    reader.missing(table.place, "match", "match = \"*@example.test\"");
  } else if (!patterns || patterns->empty()) {
    reader.wrong_kind(*match, "match", "a pattern or a list of patterns, such as \"*@example.test\"");
  } else {
    for (std::string_view rest = *patterns; !rest.empty();) {
      const std::string_view item = rest.substr(0, rest.find(','));
      options.match.push_back(folded(item));
      rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    }
  }
  std::string check = "password";
  reader.secret("password", options.password);
  reader.text("check", check);
  const Value* said = reader.take("check");
  if (check != "password" && check != "back") {
    reader.wrong(*said, "check", "is " + config::quoted(check) + "; it can be \"password\" or \"back\"");
  } else if (check == "password" && options.password.empty()) {
    reader.missing(table.place, "password",
                   "password = \"{CRYPT}$y$...\" (made by `postern-auth hash`), or check = \"back\" where the mail "
                   "server verifies passwords.");
  } else if (check == "back" && !options.password.empty()) {
    reader.wrong(*said, "check", "is \"back\", and there is a password too; keep one of them");
  }
  return options;
}

// Nobody would verify anything: whoever knows a name would be in.
bool opens_the_door(const StaticOptions& options) {
  return options.password.empty() && (!options.defaults.password.empty() || !options.defaults.master_user.empty());
}

void read_source(const Value& table, std::vector<Problem>& problems, Options& options) {
  TableReader reader(table, "[[source]]", problems);
  std::string type;
  const Value* said = reader.take("type");
  if (said == nullptr) return reader.missing(table.place, "type", "type = \"sqlite\"");
  reader.text("type", type);
  if (type == "sqlite") {
    SqliteOptions sqlite = read_sqlite(reader);
    read_route(reader, table, sqlite.defaults, problems);
    options.sources.emplace_back(std::move(sqlite));
  } else if (type == "passwd-file") {
    PasswdFileOptions passwd = read_passwd_file(reader, table);
    read_route(reader, table, passwd.defaults, problems);
    options.sources.emplace_back(std::move(passwd));
  } else if (type == "static") {
    StaticOptions pattern = read_static(reader, table);
    read_route(reader, table, pattern.defaults, problems);
    if (opens_the_door(pattern)) {
      reader.wrong(*said, "type",
                   "is \"static\" without a password but with one for the mail server: everybody would be let in. Give "
                   "password, or take back_password or master_user out");
    }
    options.sources.emplace_back(std::move(pattern));
  } else {
    constexpr std::string_view types[] = {"sqlite", "passwd-file", "static"};
    const std::string_view meant = config::nearest(type, types);
    return reader.wrong(*said, "type",
                        "is " + found(*said) + "; " +
                            (meant.empty() ? "it can be \"sqlite\", \"passwd-file\" or \"static\""
                                           : "did you mean " + config::quoted(meant) + "?"));
  }
  reader.finish();
}

void read_socket_mode(TableReader& reader, mode_t& mode) {
  const Value* value = reader.take("socket_mode");
  if (value == nullptr) return;
  unsigned number = 0;
  const char* const end = value->text.data() + value->text.size();
  const auto [rest, error] = std::from_chars(value->text.data(), end, number, 8);
  if (value->kind != Value::Kind::Text || error != std::errc() || rest != end || number > 0777 || number < 0200) {
    return reader.wrong_kind(*value, "socket_mode", "a mode in octal digits and quotes, such as \"0660\"");
  }
  mode = number;
}

void read_scheme(TableReader& reader, Scheme& scheme) {
  std::string word(scheme_word(scheme));
  reader.text("scheme", word);
  const std::optional<Scheme> parsed = parse_scheme(word);
  if (parsed) {
    scheme = *parsed;
    return;
  }
  reader.wrong(*reader.take("scheme"), "scheme", "is " + config::quoted(word) + "; it can be one of " + scheme_words());
}

void read_weak_schemes(TableReader& reader, std::vector<std::string>& into) {
  const Value* value = reader.take("weak_schemes");
  if (value == nullptr) return;
  const std::span<const std::string_view> words = weak_scheme_words();
  if (value->kind != Value::Kind::List) return reader.wrong_kind(*value, "weak_schemes", "a list of texts in brackets");
  for (const Value& item : value->items) {
    if (item.kind == Value::Kind::Text && std::find(words.begin(), words.end(), item.text) != words.end()) {
      into.push_back(item.text);
      continue;
    }
    const std::string_view meant = item.kind == Value::Kind::Text ? config::nearest(item.text, words) : "";
    const std::vector<std::string> names(words.begin(), words.end());
    reader.wrong(item, "weak_schemes",
                 "holds " + found(item) + "; " +
                     (meant.empty() ? "the weak schemes are " + config::listed(names, "and")
                                    : "did you mean " + config::quoted(meant) + "?"));
  }
}

void read_upgrade_schemes(TableReader& reader, bool& into) {
  const Value* value = reader.take("upgrade_schemes");
  if (value == nullptr) return;
  if (value->kind != Value::Kind::Bool) return reader.wrong_kind(*value, "upgrade_schemes", "true or false");
  into = value->truth;
}

void read_root(const Value& root, std::vector<Problem>& problems, Options& options) {
  using std::chrono::seconds;
  TableReader reader(root, "", problems);
  reader.path("socket", options.socket, socket_size_max);
  read_socket_mode(reader, options.socket_mode);
  reader.text("socket_group", options.socket_group);
  reader.number("workers", 0, 1024, options.workers);
  reader.number("queue", 1, 1000000, options.queue);
  reader.duration("question_timeout", Duration(100), seconds(300), options.question_timeout);
  reader.duration("reject_delay", Duration(0), seconds(30), options.reject_delay);
  read_scheme(reader, options.passwords.scheme);
  read_weak_schemes(reader, options.passwords.weak_schemes);
  read_upgrade_schemes(reader, options.passwords.upgrade_schemes);
  reader.memory("argon2_memory", 1024, 64 * 1024 * 1024, options.passwords.argon2_memory_kib);
  const Value* sources = reader.take("source");
  reader.finish();
  if (sources == nullptr) {
    options.sources.emplace_back(SqliteOptions{});
    return;
  }
  const bool tables = sources->kind == Value::Kind::List && !sources->items.empty() &&
                      std::all_of(sources->items.begin(), sources->items.end(),
                                  [](const Value& item) { return item.kind == Value::Kind::Table; });
  if (!tables) {
    return reader.wrong(*sources, "source", "must be headings with double brackets, [[source]], one for each source");
  }
  for (const Value& table : sources->items)
    read_source(table, problems, options);
}

}  // namespace

ReadResult parse_options(std::string_view text, std::string_view name) {
  ReadResult result;
  std::vector<Problem> problems;
  const config::Document document = config::parse_document(text);
  if (document.error) {
    problems.push_back({document.error->place, document.error->text});
  } else {
    read_root(document.root, problems, result.options);
  }
  std::stable_sort(problems.begin(), problems.end(),
                   [](const Problem& left, const Problem& right) { return left.place.line < right.place.line; });
  for (const Problem& problem : problems) {
    const std::string line = problem.place.line != 0 ? ":" + std::to_string(problem.place.line) : "";
    result.problems.push_back(std::string(name) + line + ": " + problem.text);
  }
  return result;
}

ReadResult read_options(const std::string& file) {
  ReadResult result;
  std::ifstream stream(file, std::ios::binary);
  std::string text;
  if (stream) text.assign(std::istreambuf_iterator<char>(stream), {});
  if (!stream || stream.bad()) {
    result.problems.push_back(file + ": cannot be read: " + strerror(errno) + ".");
    return result;
  }
  if (text.size() > file_size_max) {
    result.problems.push_back(file + ": is larger than 4 MiB: this is no configuration.");
    return result;
  }
  return parse_options(text, file);
}

}  // namespace postern::helper
