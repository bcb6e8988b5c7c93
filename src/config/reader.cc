// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/reader.h"

#include "config/settings.h"
#include "config/values.h"
#include "config/words.h"

namespace postern::config {
namespace {

// The root of the file is the section with the empty name; it has no settings, only sections.
std::string child_name(std::string_view section, std::string_view key) {
  std::string name(section);
  if (!name.empty()) name += '.';
  name += key;
  return name;
}

bool is_child(std::string_view section, const Section& candidate) {
  const size_t dot = candidate.name.rfind('.');
  return section == (dot == std::string_view::npos ? "" : candidate.name.substr(0, dot));
}

std::string_view last_part(std::string_view section) {
  const size_t dot = section.rfind('.');
  return dot == std::string_view::npos ? section : section.substr(dot + 1);
}

// A scalar, or a list of them, is meant as a setting; tables and lists of tables are meant as sections.
bool is_section_like(const Value& value) {
  if (value.kind == Value::Kind::List) return !value.items.empty() && value.items[0].kind == Value::Kind::Table;
  return value.kind == Value::Kind::Table;
}

// The sections that have a setting of this name: "[limits] and [[pool]]"; empty for none.
std::string homes(std::string_view name) {
  std::vector<std::string> found;
  for (const Setting& setting : settings()) {
    if (setting.name == name) found.push_back(heading(setting.section));
  }
  return listed(found, "or");
}

std::string unknown_section(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Section& section : sections()) {
    // "[cache]" is meant as "[auth.cache]".
    if (last_part(section.name) == name) return "did you mean " + heading(section) + "?";
    names.push_back(section.name);
  }
  const std::string_view meant = nearest(name, names);
  if (!meant.empty()) return "did you mean " + heading(meant) + "?";
  std::vector<std::string> headings;
  for (const Section& section : sections())
    headings.push_back(heading(section));
  return "there are " + listed(headings, "and") + ".";
}

std::string unknown_setting(std::string_view section, std::string_view name) {
  std::vector<std::string_view> near;
  std::vector<std::string_view> all;
  for (const Setting& setting : settings()) {
    if (setting.section == section) near.push_back(setting.name);
    all.push_back(setting.name);
  }
  if (const std::string home = homes(name); !home.empty()) return "it belongs below " + home + ".";
  std::string_view meant = nearest(name, near);
  if (!meant.empty()) return "did you mean " + quoted(meant) + "?";
  meant = nearest(name, all);
  if (!meant.empty()) return "did you mean " + quoted(meant) + ", which belongs below " + homes(meant) + "?";
  std::vector<std::string> names(near.begin(), near.end());
  return names.empty() ? "settings stand below a heading such as [gate]." : "it has " + listed(names, "and") + ".";
}

void unknown(std::string_view section, const Entry& entry, Draft& draft) {
  if (is_section_like(entry.value)) {
    const std::string name = child_name(section, entry.key);
    draft.problem(entry.place, "There is no section " + quoted(name) + "; " + unknown_section(name));
    return;
  }
  const std::string where = section.empty() ? quoted(entry.key) + " stands before the first heading; "
                                            : heading(section) + " has no setting " + quoted(entry.key) + "; ";
  draft.problem(entry.place, where + unknown_setting(section, entry.key));
}

class DocumentReader {
 public:
  explicit DocumentReader(Draft& draft) : draft_(draft) {}

  void read_entries(std::string_view section, const Value& table, Element& element) {
    for (const Entry& entry : table.entries) {
      if (const Setting* setting = find_setting(section, entry.key)) {
        Given& given = element.given.emplace_back(Given{setting->name, entry.place});
        read_value(draft_, *setting, entry.value, given);
      } else if (const Section* child = find_section(child_name(section, entry.key));
                 child != nullptr && is_child(section, *child)) {
        read_section(*child, entry);
      } else {
        unknown(section, entry, draft_);
      }
    }
  }

 private:
  void read_section(const Section& section, const Entry& entry) {
    const Value& value = entry.value;
    const bool repeated = section.count_max > 1;
    if (value.kind == Value::Kind::Table) {
      if (repeated) {
        draft_.problem(entry.place,
                       "This section may stand several times: write " + heading(section) + ", with double brackets.");
      }
      read_element(section, value, entry.place);
      return;
    }
    if (!is_section_like(value)) {
      draft_.problem(entry.place, quoted(entry.key) + " is a section, not a setting: write " + heading(section) +
                                      " and its settings below it.");
      return;
    }
    if (!repeated) {
      draft_.problem(entry.place, "This section stands once: write " + heading(section) + ", with single brackets.");
    }
    if (value.items.size() > section.count_max && repeated) {
      draft_.problem(entry.place, "There are " + std::to_string(value.items.size()) + " " + heading(section) +
                                      " sections; " + std::to_string(section.count_max) + " are possible.");
      draft_.whole = false;
      return;
    }
    for (const Value& item : value.items)
      read_item(section, item);
  }

  void read_item(const Section& section, const Value& item) {
    if (item.kind == Value::Kind::Table) return read_element(section, item, item.place);
    draft_.problem(item.place, heading(section) + " holds settings, and here is something else. Write " +
                                   heading(section) + " and the settings below it.");
  }

  void read_element(const Section& section, const Value& table, Place place) {
    if (section.add != nullptr) section.add(draft_.config);
    std::vector<Element>& elements = draft_.elements[section.name];
    elements.push_back({place, {}});
    // The inner sections have lists of their own, so this one does not grow meanwhile.
    read_entries(section.name, table, elements.back());
    if (!draft_.whole) return;
    for (const Setting& setting : settings()) {
      const bool needed = setting.section == section.name && setting.unset.empty() && is_unset(setting);
      if (!needed || elements.back().find(setting.name) != nullptr) continue;
      draft_.problem(place, heading(section) + " lacks " + quoted(setting.name) +
                                ". Write, for example: " + std::string(setting.name) + " = " + example_text(setting));
    }
  }

  bool is_unset(const Setting& setting) { return value_text(setting, draft_.config).empty(); }

  Draft& draft_;
};

}  // namespace

void read_document(const Value& root, Draft& draft) {
  Element none;
  DocumentReader(draft).read_entries("", root, none);
}

}  // namespace postern::config
