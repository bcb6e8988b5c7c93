// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "helper/conform/checks.h"

namespace postern::helper::conform {
namespace {

// As many as a gate keeps under way by itself on one connection.
constexpr uint64_t crowd = 1000;
// Every so many of them is a login: hashing a thousand passwords would take a helper a minute.
constexpr uint64_t crowd_logins_every = 40;
// Connections of a gate with four reactors.
constexpr size_t reactors = 4;
// How long half a line lies there: long enough for a helper that takes it for a whole one.
constexpr Duration half_line_pause = std::chrono::milliseconds(100);

std::string unknown_op(uint64_t id) {
  return absl::StrCat("op=conform&id=", id, "&user=joe\n");
}

void hello(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  static_cast<void>(talk.open(true));
}

void verify(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  const auto answer = talk.ask(question_for_nobody(setup));
  if (!answer) return;
  static_cast<void>(read_verdict(*answer, finding));
  if (result_of(*answer) == "error") finding.fail("result=error to a plain op=verify");
  talk.conclude();
}

void largest_id(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  talk.expect(UINT64_MAX);
  talk.say(auth::verify_line(UINT64_MAX, question_for_nobody(setup))->reveal());
  if (talk.hear()) talk.conclude();
}

void pipelined(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  std::string lines;
  for (uint64_t id = 1; id <= 5; ++id) {
    talk.expect(id);
    lines += auth::verify_line(id, question_for_nobody(setup))->reveal();
  }
  talk.say(lines);
  for (int i = 0; i < 5 && talk.hear(); ++i) {
  }
  talk.conclude();
}

void connections(const Setup& setup, Finding& finding) {
  Talk first(setup, finding), second(setup, finding), third(setup, finding), fourth(setup, finding);
  const std::array<Talk*, reactors> talks{&first, &second, &third, &fourth};
  for (Talk* talk : talks) {
    if (!talk->open()) return;
  }
  // The last comes first: none waits for another.
  for (size_t i = reactors; i-- > 0;)
    talks[i]->conclude();
}

void op_of_later_version(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  talk.expect(1);
  talk.say(unknown_op(1));
  if (const auto answer = talk.hear()) expect_error(*answer, finding);
  talk.conclude();
}

// The same question, turned about and with keys of a later version.
void unknown_keys(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  auth::FormWriter writer;
  writer.add("x-conform", "1").add("passwords", "x").add("usher", "ok").add("local", "192.0.2.1:993");
  writer.add("client", "198.18.0.1:4711").add("password", setup.noise.reveal()).add("user", nobody());
  writer.add("mechanism", "PLAIN")
      .add("result", "ok")
      .add("protocol", "imap")
      .add("id", uint64_t{1})
      .add("op", "verify");
  talk.expect(1);
  talk.say(writer.finish()->reveal());
  if (const auto answer = talk.hear()) expect_reject(*answer, finding, "nobody, asked with unknown keys");
  talk.conclude();
}

void half_line(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  const Secret line = *auth::verify_line(1, question_for_nobody(setup));
  const std::string_view bytes = line.reveal();
  constexpr std::string_view first = "op=verify&id=1";
  talk.expect(1);
  talk.say(bytes.substr(0, first.size()));
  if (!talk.hears_nothing(half_line_pause)) return finding.fail("it did not wait for the end of the line");
  talk.say(bytes.substr(first.size()));
  if (const auto answer = talk.hear()) expect_reject(*answer, finding, "nobody, asked in two pieces");
  talk.conclude();
}

// A line of exactly the limit.
void longest_line(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  auth::FormWriter writer;
  writer.add("op", "verify")
      .add("id", uint64_t{1})
      .add("protocol", "imap")
      .add("mechanism", "PLAIN")
      .add("user", nobody());
  writer.add("client", "198.18.0.1:4711").add("local", "192.0.2.1:993").add("password", "x");
  std::string line(writer.finish()->reveal());
  line.insert(line.size() - 1, auth::line_size_max - line.size(), 'x');
  talk.expect(1);
  talk.say(line);
  if (const auto answer = talk.hear()) expect_not_ok(*answer, finding, "nobody with a password of some 16,000 bytes");
  talk.conclude();
}

void overlong_line(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  // Whoever cuts a line at his buffer's end takes the rest for another one; buffers end before or behind a byte for NUL.
  for (const size_t size : {auth::line_size_max, auth::line_size_max - 1}) {
    if (!talk.open()) return;
    talk.say(std::string(size, 'x') + std::string(auth::verify_line(1, question_for_nobody(setup))->reveal()));
    talk.conclude_hostile({1});
    if (!finding.fault.empty()) return;
  }
}

void broken_encoding(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  for (const std::string value : {"%", "%z", "%zz", "a%4", "%00%", "%%%"}) {
    if (!talk.open()) return;
    talk.say("op=verify&id=1&protocol=imap&mechanism=PLAIN&user=" + value + "&password=" + value + "\n");
    talk.conclude_hostile();
    if (!finding.fault.empty()) return;
  }
}

void garbage(const Setup& setup, Finding& finding) {
  using std::string_view_literals::operator""sv;
  Talk talk(setup, finding);
  for (const std::string_view line :
       {"\n"sv, "&&&=&=\n"sv, "\0\xff\xfe\r\n"sv, "EHLO example.test\r\n"sv, "id=1\n"sv}) {
    if (!talk.open()) return;
    talk.say(line);
    talk.conclude_hostile();
    if (!finding.fault.empty()) return;
  }
}

void thousand(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  if (!talk.open()) return;
  std::string lines;
  for (uint64_t id = 1; id <= crowd; ++id) {
    const bool is_login = id % crowd_logins_every == 0;
    lines += is_login ? auth::verify_line(id, question_for_nobody(setup))->reveal() : unknown_op(id);
    talk.expect(id);
  }
  talk.say(lines);
  uint64_t answered = 0;
  while (answered < crowd && finding.fault.empty()) {
    const auto answer = talk.hear();
    if (!answer) return finding.fail(absl::StrCat("only ", answered, " of ", crowd, " were answered"));
    if (answer->id % crowd_logins_every != 0) expect_error(*answer, finding);
    ++answered;
  }
  talk.conclude();
}

void closed_in_the_middle(const Setup& setup, Finding& finding) {
  Talk talk(setup, finding);
  for (int i = 0; i < 3; ++i) {
    if (!talk.open()) return;
    std::string lines(auth::verify_line(1, question_for_nobody(setup))->reveal());
    lines += unknown_op(2) + "op=verify&id=3&user=jo";
    talk.say(lines);
    talk.link().close();
  }
  if (talk.open()) talk.conclude();
}

constexpr Check checks[] = {
    {"hello", "op=hello is answered with op=hello, version=1 and a name", hello},
    {"verify", "op=verify gets one answer, with its id and a result that the gate knows", verify},
    {"id", "The answer repeats the id as it came; it is a number of up to 64 bits", largest_id},
    {"pipelined", "Questions come without waiting for answers; each gets one, in any order", pipelined},
    {"connections", "There are several connections, and none waits for another", connections},
    {"op", "An unknown op gets result=error with its id", op_of_later_version},
    {"keys", "Keys come in any order, and unknown ones are ignored", unknown_keys},
    {"half-line", "A line may come in pieces and is answered when it has ended", half_line},
    {"longest-line", "A line of 16384 bytes, its LF counted, is a question", longest_line},
    {"overlong-line", "No piece of a longer line is a question; the helper serves on", overlong_line},
    {"encoding", "A broken %XX is never ok; the helper serves on", broken_encoding},
    {"garbage", "A line that is no question is never ok; the helper serves on", garbage},
    {"thousand", "A gate may have 1000 questions under way on a connection", thousand},
    {"closed", "A connection may end at any byte; the others and the next are served", closed_in_the_middle},
};

}  // namespace

std::span<const Check> framing_checks() {
  return checks;
}

}  // namespace postern::helper::conform
