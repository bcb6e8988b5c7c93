// SPDX-License-Identifier: GPL-3.0-or-later
// Every dialog in every way that makes a difference to it, each a test case of its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "player.h"

namespace postern::dialog {
namespace {

struct Case {
  Dialog dialog;
  Kind kind = Kind::Whole;
  std::string unreadable;  // why the file is no dialog
};

void PrintTo(const Case& one, std::ostream* out) {
  *out << one.dialog.name;
}

std::vector<Case> read_folder(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(DIALOG_FOLDER "/" + folder)) {
    if (entry.path().extension() == ".dialog") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  std::vector<Case> cases;
  for (const std::string& name : names) {
    Case& one = cases.emplace_back();
    one.dialog.name = folder + "/" + name;
    const std::string file = DIALOG_FOLDER "/" + one.dialog.name + ".dialog";
    try {
      one.dialog = read_dialog(file, one.dialog.name);
    } catch (const Fault& fault) {
      one.unreadable = file + ":" + std::to_string(fault.line) + ": " + fault.what();
    }
  }
  return cases;
}

const std::vector<Case>& all_dialogs() {
  static const std::vector<Case> all = [] {
    std::vector<Case> cases;
    for (const char* folder : {"imap", "pop3", "submission", "sieve", "tls", "helper", "limits", "load", "programs"}) {
      for (Case& one : read_folder(folder))
        cases.push_back(std::move(one));
    }
    return cases;
  }();
  return all;
}

// A file that cannot be read is a case that fails.
std::vector<Case> cases_of(Kind kind) {
  std::vector<Case> cases;
  for (const Case& one : all_dialogs()) {
    const bool played =
        one.unreadable.empty() ? one.dialog.in_memory && is_worthwhile(one.dialog, kind) : kind == Kind::Whole;
    if (!played) continue;
    cases.push_back(one);
    cases.back().kind = kind;
  }
  return cases;
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.dialog.name;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

class DialogTest : public testing::TestWithParam<Case> {};

TEST_P(DialogTest, Holds) {
  ASSERT_EQ(GetParam().unreadable, "");
  const std::optional<std::string> failure = play(GetParam().dialog, GetParam().kind);
  EXPECT_FALSE(failure.has_value()) << failure.value_or("");
}

INSTANTIATE_TEST_SUITE_P(Whole, DialogTest, testing::ValuesIn(cases_of(Kind::Whole)), name_of);
INSTANTIATE_TEST_SUITE_P(Glued, DialogTest, testing::ValuesIn(cases_of(Kind::Glued)), name_of);
INSTANTIATE_TEST_SUITE_P(FrontCuts, DialogTest, testing::ValuesIn(cases_of(Kind::FrontCuts)), name_of);
INSTANTIATE_TEST_SUITE_P(FrontBytes, DialogTest, testing::ValuesIn(cases_of(Kind::FrontBytes)), name_of);
INSTANTIATE_TEST_SUITE_P(BackCuts, DialogTest, testing::ValuesIn(cases_of(Kind::BackCuts)), name_of);
INSTANTIATE_TEST_SUITE_P(BackBytes, DialogTest, testing::ValuesIn(cases_of(Kind::BackBytes)), name_of);
INSTANTIATE_TEST_SUITE_P(Moved, DialogTest, testing::ValuesIn(cases_of(Kind::Moved)), name_of);
INSTANTIATE_TEST_SUITE_P(WireBytes, DialogTest, testing::ValuesIn(cases_of(Kind::WireBytes)), name_of);

// A runner that finds nothing wrong would pass all of the above: dialogs that are wrong must fail, with the right words.
class WrongDialogTest : public testing::TestWithParam<Case> {};

TEST_P(WrongDialogTest, FailsAsItSays) {
  ASSERT_EQ(GetParam().unreadable, "");
  const Dialog& dialog = GetParam().dialog;
  ASSERT_NE(dialog.fault, "") << "a wrong dialog says how it fails";
  const std::optional<std::string> failure = play(dialog, Kind::Whole);
  ASSERT_TRUE(failure.has_value()) << "this dialog is wrong, and nobody noticed";
  EXPECT_NE(failure->find(dialog.fault), std::string::npos) << *failure;
}

std::vector<Case> wrong_cases() {
  std::vector<Case> cases = read_folder("wrong");
  std::erase_if(cases, [](const Case& one) { return !one.dialog.in_memory; });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Runner, WrongDialogTest, testing::ValuesIn(wrong_cases()), name_of);

}  // namespace
}  // namespace postern::dialog
