// SPDX-License-Identifier: GPL-3.0-or-later
// The table, what is printed from it, and the sample file agree.
#include "config/settings.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "config/values.h"
#include "tests/unit/config/sentences.h"

namespace postern::config {
namespace {

std::string sample() {
  std::ifstream file(POSTERN_SAMPLE);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The sample with every setting and section that it mentions: "#name = value" and "#[[name]]" lose their mark.
std::string sample_in_full() {
  std::stringstream lines(sample());
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    const bool marked = line.size() > 1 && line[0] == '#' && (line[1] == '[' || (line[1] >= 'a' && line[1] <= 'z'));
    result += (marked ? line.substr(1) : line) + "\n";
  }
  return result;
}

TEST(Settings, HaveSectionsNamesAndSentences) {
  std::set<std::string> seen;
  for (const Setting& setting : settings()) {
    const std::string name = std::string(setting.section) + "." + std::string(setting.name);
    EXPECT_TRUE(seen.insert(name).second) << name;
    EXPECT_NE(find_section(setting.section), nullptr) << name;
    EXPECT_EQ(find_setting(setting.section, setting.name), &setting);
    EXPECT_TRUE(setting.sentence.ends_with('.')) << name;
    EXPECT_NE(example_text(setting), "") << name;
  }
  for (const Section& section : sections())
    EXPECT_TRUE(section.sentence.ends_with('.')) << section.name;
}

// Each default lies in its own range: it is written into a file and read back.
TEST(Settings, DefaultsAndExamplesAreValid) {
  for (const Setting& setting : settings()) {
    Config defaults = default_config();
    for (const std::string& value : {value_text(setting, defaults), example_text(setting)}) {
      if (value.empty()) continue;
      Draft draft("f");
      draft.config = default_config();
      const Document document = parse_document("x = " + value);
      ASSERT_FALSE(document.error) << setting.name << " = " << value;
      Given given{setting.name};
      read_value(draft, setting, document.root.entries[0].value, given);
      EXPECT_TRUE(given.good) << setting.name << " = " << value;
      EXPECT_EQ(value_text(setting, draft.config), value);
    }
  }
}

TEST(Settings, ArePrintedForTheTerminal) {
  const std::string text = settings_text();
  for (const Setting& setting : settings()) {
    EXPECT_NE(text.find("\n  " + std::string(setting.name) + " "), std::string::npos) << setting.name;
  }
  for (const Section& section : sections())
    EXPECT_NE(text.find(heading(section) + "\n"), std::string::npos);
  std::stringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 100u) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
  EXPECT_NE(
      text.find("\n"
                "[auth.cache]\n"
                "  What is remembered of the helper's answers. No password is stored.\n"
                "\n"
                "  entries                      number from 0 to 100000000; default 100000\n"
                "                               Accepted logins that are remembered; 0 switches the cache off.\n"),
      std::string::npos)
      << text;
}

TEST(Settings, AreInTheManualPage) {
  const std::string page = settings_man();
  for (const Section& section : sections()) {
    const size_t begin = page.find(".Ss " + heading(section) + "\n");
    ASSERT_NE(begin, std::string::npos) << section.name;
    const std::string part = page.substr(begin, page.find(".El\n", begin) - begin);
    for (const Setting& setting : settings()) {
      const bool found = part.find(".It Ic " + std::string(setting.name) + "\n") != std::string::npos;
      EXPECT_EQ(found, find_setting(section.name, setting.name) != nullptr) << section.name << " " << setting.name;
    }
  }
  EXPECT_NE(page.find(".It Ic timeout\n"
                      "duration from \"100ms\" to \"5m\"; default \"5s\"\n"
                      ".br\n"
                      "How long one question may take.\n"
                      "Then the mail program hears that the service is temporarily unavailable.\n"),
            std::string::npos)
      << page;
}

TEST(Settings, ManualPageHasAnExampleThatLoads) {
  const std::string page = settings_man();
  const size_t begin = page.find(".Bd -literal -offset indent\n");
  ASSERT_NE(begin, std::string::npos);
  const size_t first = page.find('\n', begin) + 1;
  EXPECT_EQ(sentences(page.substr(first, page.find(".Ed\n", first) - first)), "");
}

TEST(Sample, LoadsAsItStands) {
  const LoadResult result = load_text(sample(), "postern.toml");
  EXPECT_EQ(sentences(result), "");
  ASSERT_TRUE(result.config.has_value());
  EXPECT_EQ(result.config->session.listeners.size(), 1u);
  EXPECT_EQ(result.config->session.pools.size(), 1u);
}

// Its certificates are not on this machine: that is all that load_file has to say.
TEST(Sample, LacksNothingButItsCertificate) {
  const LoadResult result = load_file(POSTERN_SAMPLE);
  for (const Problem& problem : result.problems) {
    EXPECT_NE(problem.text.find("/etc/postern/tls/mail."), std::string::npos) << problem.sentence();
  }
  EXPECT_LE(result.problems.size(), 2u);
}

// With every mark taken away it still loads, mentions every setting, and what it shows of single sections is the
// default.
TEST(Sample, ShowsEverySettingWithItsDefault) {
  const std::string text = sample_in_full();
  LoadResult result = load_text(text, "postern.toml");
  EXPECT_EQ(sentences(result), "");
  ASSERT_TRUE(result.config.has_value());
  Config defaults = default_config();
  for (const Setting& setting : settings()) {
    EXPECT_NE(text.find("\n" + std::string(setting.name) + " = "), std::string::npos) << setting.name;
    const bool single = find_section(setting.section)->count_max == 1;
    if (!single || !setting.unset.empty()) continue;
    EXPECT_EQ(value_text(setting, *result.config), value_text(setting, defaults)) << setting.name;
  }
}

}  // namespace
}  // namespace postern::config
