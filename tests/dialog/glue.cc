// SPDX-License-Identifier: GPL-3.0-or-later
// Which lines of a mail program may go out together.
#include <charconv>

#include "script.h"

namespace postern::dialog {
namespace {

// Whether the mail program has to see this answer before it may go on.
bool must_be_waited_for(const What& what, Dialect dialect) {
  const std::string challenge(words_in(dialect).challenge);
  const std::string pattern = "/" + std::string(challenge.starts_with('+') ? "\\" : "") + challenge;
  return what.text.starts_with(challenge) || what.source.starts_with(pattern);
}

// Whether the mail program `who` may send its next line before this step has happened.
bool may_be_overtaken(const Step& step, const std::string& who) {
  if (step.optional || step.within) return false;
  switch (step.verb) {
    case Verb::Expect: return step.who == who ? !must_be_waited_for(step.what, step.dialect) : is_end(step.who, "back");
    case Verb::Send: return is_end(step.who, "back");
    case Verb::HelperAsked:
    case Verb::HelperSays: return true;
    default: return false;
  }
}

}  // namespace

bool is_end(std::string_view who, std::string_view kind) {
  return who.starts_with(kind) && who.find_first_not_of("0123456789", kind.size()) == who.npos;
}

size_t number_of_end(std::string_view who) {
  const size_t digits = who.find_first_of("0123456789");
  if (digits == who.npos) return 1;
  size_t number = 0;
  std::from_chars(who.data() + digits, who.data() + who.size(), number);
  return number;
}

std::vector<Step> glued(const std::vector<Step>& steps) {
  std::vector<Step> result;
  for (const Step& step : steps) {
    if (step.verb == Verb::Send && is_end(step.who, "front") && !step.optional) {
      auto before = result.rbegin();
      while (before != result.rend() && may_be_overtaken(*before, step.who))
        ++before;
      const bool joins =
          before != result.rend() && before->verb == Verb::Send && before->who == step.who && !before->optional;
      if (joins) {
        before->octets += step.octets;
        continue;
      }
    }
    result.push_back(step);
  }
  return result;
}

}  // namespace postern::dialog
