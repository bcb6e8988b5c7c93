// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/stub/talk.h"

#include <strings.h>

#include <algorithm>

namespace postern::mailstub {

void Answer::clear() {
  text.clear();
  body_size = 0;
  after.clear();
  close = false;
}

size_t Talk::feed(std::string_view input, Answer& answer) {
  size_t taken = 0;
  while (taken < input.size() && answer.body_size == 0 && !answer.close) {
    const std::string_view rest = input.substr(taken);
    if (passed_over_ > 0) {
      const size_t size = std::min<uint64_t>(passed_over_, rest.size());
      passed_over_ -= size;
      taken += size;
      continue;
    }
    const size_t newline = rest.find('\n');
    if (newline == std::string_view::npos) break;
    taken += newline + 1;
    std::string_view line = rest.substr(0, newline);
    if (line.ends_with('\r')) line.remove_suffix(1);
    on_line(line, answer);
  }
  return taken;
}

std::unique_ptr<Talk> make_talk(wire::Protocol protocol, uint64_t mail_size) {
  switch (protocol) {
    case wire::Protocol::Imap: return make_imap_talk(mail_size);
    case wire::Protocol::Pop3: return make_pop3_talk(mail_size);
    case wire::Protocol::Submission: return make_submission_talk(mail_size);
  }
  return nullptr;
}

bool is_word(std::string_view text, std::string_view word) {
  return text.size() == word.size() && ::strncasecmp(text.data(), word.data(), word.size()) == 0;
}

std::string_view take_word(std::string_view& text) {
  const size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

}  // namespace postern::mailstub
