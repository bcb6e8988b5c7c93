// SPDX-License-Identifier: GPL-3.0-or-later
// Draft: a Config under construction, where each of its values was written, and what is wrong so far.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/document.h"

namespace postern::config {

// A setting that stands in the file.
struct Given {
  std::string_view name;  // of the table of settings
  Place place;
  bool good = false;         // its value was understood and is in the Config
  std::vector<Place> items;  // lists: of each understood item, in the order of the Config's vector
};

// One heading of the file, such as the second [[listen]].
struct Element {
  Place place;
  std::vector<Given> given;

  // nullptr: not in the file.
  const Given* find(std::string_view name) const;
};

class Draft {
 public:
  explicit Draft(std::string file) { config.file = std::move(file); }

  Config config;
  // By section. The n-th element of a repeated section is the n-th entry of the Config's vector.
  std::map<std::string_view, std::vector<Element>> elements;
  Place end;          // the file's last line: where something is missing altogether
  bool whole = true;  // false: lines of the file were left out, so what is missing may have stood there

  // Problems beyond LoadResult::problems_max are dropped.
  void problem(Place place, std::string text);
  void warning(Place place, std::string text);

  // nullptr: the setting is not in the file.
  const Given* find(std::string_view section, std::string_view name, size_t index = 0) const;
  // Where to look for a setting: its own line, else its heading's, else the end of the file.
  Place place(std::string_view section, std::string_view name, size_t index = 0) const;

  // In the order of the file.
  LoadResult finish() &&;

 private:
  std::vector<Problem> problems_;
  std::vector<Problem> warnings_;
};

}  // namespace postern::config
