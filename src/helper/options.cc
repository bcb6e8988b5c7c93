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
#include "helper/sources/source_types.h"
#include "helper/table_reader.h"

namespace postern::helper {
namespace {

using config::Place;
using config::Value;

constexpr size_t file_size_max = 4 << 20;
// What fits into the kernel's address of a Unix socket.

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

void read_aliases(const Value& table, NameRules& names, std::vector<TableProblem>& problems) {
  for (const config::Entry& entry : table.entries) {
    if (entry.value.kind == Value::Kind::Text && is_user_name(entry.value.text) && is_user_name(entry.key)) {
      names.aliases[folded(entry.key)] = folded(entry.value.text);
    } else {
      problems.push_back(
          {entry.place, "[aliases] has " + config::quoted(entry.key) +
                            ", which is not a name for another name. Write, for example: joe = \"joe@example.test\""});
    }
  }
}

void read_names(TableReader& reader, NameRules& names, std::vector<TableProblem>& problems) {
  reader.text("default_domain", names.default_domain);
  names.default_domain = folded(names.default_domain);
  reader.text("allowed_characters", names.allowed_characters);
  const Value* aliases = reader.take("aliases");
  if (aliases == nullptr) return;
  if (aliases->kind != Value::Kind::Table)
    return reader.wrong_kind(*aliases, "aliases", "a heading, [aliases], with a line for each name");
  read_aliases(*aliases, names, problems);
}

void read_guessing_table(TableReader& reader, std::vector<TableProblem>& problems, GuessingOptions& options) {
  const Value* guessing = reader.take("guessing");
  if (guessing == nullptr) return;
  if (guessing->kind != Value::Kind::Table) return reader.wrong_kind(*guessing, "guessing", "a heading, [guessing]");
  TableReader table(*guessing, "[guessing]", problems);
  options = read_guessing(table);
}

void read_root(const Value& root, std::vector<TableProblem>& problems, Options& options) {
  using std::chrono::seconds;
  TableReader reader(root, "", problems);
  reader.path("socket", options.socket, socket_path_max);
  read_socket_mode(reader, options.socket_mode);
  reader.text("socket_group", options.socket_group);
  reader.number("workers", 0, 1024, options.workers);
  reader.number("queue", 1, 1000000, options.queue);
  reader.duration("question_timeout", Duration(100), seconds(300), options.question_timeout);
  reader.duration("reject_delay", Duration(0), seconds(30), options.reject_delay);
  read_scheme(reader, options.passwords.scheme);
  read_weak_schemes(reader, options.passwords.weak_schemes);
  reader.truth("upgrade_schemes", options.passwords.upgrade_schemes);
  reader.memory("argon2_memory", 1024, 64 * 1024 * 1024, options.passwords.argon2_memory_kib);
  read_names(reader, options.names, problems);
  read_guessing_table(reader, problems, options.guessing);
  const Value* sources = reader.take("source");
  reader.finish();
  if (sources == nullptr) {
    options.sources.push_back({SqliteOptions{}, {}});
    return;
  }
  const bool tables = sources->kind == Value::Kind::List && !sources->items.empty() &&
                      std::all_of(sources->items.begin(), sources->items.end(),
                                  [](const Value& item) { return item.kind == Value::Kind::Table; });
  if (!tables) {
    return reader.wrong(*sources, "source", "must be headings with double brackets, [[source]], one for each source");
  }
  for (const Value& table : sources->items) {
    TableReader one(table, "[[source]]", problems);
    if (std::optional<SourceSetting> setting = read_source(one)) options.sources.push_back(*std::move(setting));
  }
}

}  // namespace

ReadResult parse_options(std::string_view text, std::string_view name) {
  ReadResult result;
  std::vector<TableProblem> problems;
  const config::Document document = config::parse_document(text);
  if (document.error) {
    problems.push_back({document.error->place, document.error->text});
  } else {
    read_root(document.root, problems, result.options);
  }
  std::stable_sort(problems.begin(), problems.end(), [](const TableProblem& left, const TableProblem& right) {
    return left.place.line < right.place.line;
  });
  for (const TableProblem& problem : problems) {
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
