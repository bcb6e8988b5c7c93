// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/config.h"

#include <algorithm>

#include "config/cross_checks.h"
#include "config/draft.h"
#include "config/files.h"
#include "config/reader.h"
#include "config/syntax.h"
#include "config/words.h"

namespace postern::config {
namespace {

enum class NamedFiles : uint8_t { Check, Leave };

Place last_line(std::string_view text) {
  while (text.ends_with('\n'))
    text.remove_suffix(1);
  return {static_cast<uint32_t>(1 + std::count(text.begin(), text.end(), '\n')), 1};
}

LoadResult load(std::string_view text, std::string_view name, NamedFiles named_files) {
  Draft draft{std::string(name)};
  draft.end = last_line(text);
  if (text.size() > file_size_max) {
    draft.problem({},
                  "The file is larger than " + size_text(file_size_max) + ", which is no configuration of Postern.");
    return std::move(draft).finish();
  }
  read_document(read_syntax(text, draft), draft);
  // Names, counts and combinations say something only of the file as a whole.
  if (draft.whole) cross_check(draft);
  if (named_files == NamedFiles::Check) check_files(draft);
  return std::move(draft).finish();
}

}  // namespace

std::string Problem::sentence() const {
  return line == 0 ? file + ": " + text : file + ":" + std::to_string(line) + ": " + text;
}

LoadResult load_file(const std::string& path) {
  FileText file = read_file(path, file_size_max);
  if (file.fault.empty()) return load(file.bytes, path, NamedFiles::Check);
  Draft draft{path};
  draft.problem({}, "The configuration " + file.fault);
  return std::move(draft).finish();
}

LoadResult load_text(std::string_view text, std::string_view name) {
  return load(text, name, NamedFiles::Leave);
}

}  // namespace postern::config
