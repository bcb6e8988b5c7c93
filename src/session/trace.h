// SPDX-License-Identifier: GPL-3.0-or-later
// Trace: what an administrator sees of one user's next logins: the lines of both conversations before the relay, states
// and decisions. All text goes through mask(), which shows known words of the dialects and hides the rest.
//
// While somebody traces, each new session keeps the lines of its login, bounded, until it is known whose they are; those
// of other users are dropped unseen. While nobody does, a session pays one look at an empty list.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/question.h"
#include "base/clock.h"
#include "base/secret.h"
#include "session/dialect.h"

namespace postern::session {

// Who speaks to whom.
enum class Voice : uint8_t { ProgramToGate, GateToProgram, GateToServer, ServerToGate, Gate };
// "program>gate", ...; the gate's own remarks are "gate".
std::string_view voice_word(Voice voice);

struct TraceLine {
  uint64_t session = 0;
  Duration age{0};  // of the session
  Voice voice = Voice::Gate;
  std::string text;  // printable ASCII
};

// What is looked for: the next sessions of a user. Shared by all reactors.
struct TraceWish {
  uint64_t id = 0;
  std::string user;                     // without regard to ASCII case
  std::function<void(TraceLine)> line;  // any reactor's thread; must not block
  std::function<void()> over;           // a traced session has begun its relay or ended
  std::atomic<uint32_t> left{1};        // sessions that may still be taken
};
using TraceWishes = std::vector<std::shared_ptr<TraceWish>>;

// Takes lines out of a stream that comes in pieces, and masks them.
class Masker {
 public:
  static constexpr size_t line_size_max = 8192;  // of what is kept of a line; longer ones are shown by their size alone
  static constexpr size_t text_size_max = 300;   // of what is shown of one

  Masker(Dialect dialect, Voice voice) : dialect_(dialect), voice_(voice) {}
  ~Masker() { wipe(line_.data(), line_.size()); }
  Masker(const Masker&) = delete;
  Masker& operator=(const Masker&) = delete;

  // Calls `show(text)` for each line that is whole now. `is_answer`: the next line answers a challenge.
  void feed(std::string_view bytes, bool& is_answer, const std::function<void(std::string)>& show);

 private:
  std::string mask(std::string_view line, bool& is_answer);
  std::string mask_command(std::string_view line) const;
  std::string mask_reply(std::string_view line, bool& is_answer) const;

  const Dialect dialect_;
  const Voice voice_;
  std::string line_;
  size_t size_ = 0;         // of the line, what was not kept counted
  uint64_t literal_ = 0;    // octets of a literal that are still to come
  bool continues_ = false;  // the line began before a literal
};

// Whether the text, or something in it that is base64, shares six octets or more with the secret, or has all of a shorter
// one in it.
bool shares(std::string_view text, std::string_view secret);

class Trace {
 public:
  static constexpr size_t lines_max = 200;  // of a session; what comes behind them is counted

  Trace(uint64_t session, Dialect dialect, Instant began);

  void said(Voice voice, std::string_view bytes, Instant now);
  void note(std::string text, Instant now);
  // At the time of the last line.
  void remark(std::string text);
  // Whose session it is: from now on its lines are shown if somebody wishes for them, else dropped.
  void named(std::string_view user, const TraceWishes& wishes);
  // What must not show in the mail server's words.
  void hide(std::string_view secret);
  // The relay begins, or the session ends.
  void finish();
  bool is_shown() const { return wish_ != nullptr; }

 private:
  void put(Voice voice, std::string text, Instant now);

  const uint64_t session_;
  const Instant began_;
  Instant last_;
  Masker program_, to_program_, to_server_, server_;
  bool program_answers_ = false;  // the mail program's next line answers a challenge
  bool gate_answers_ = false;     // ours at the mail server does
  std::vector<TraceLine> waiting_;
  size_t lines_ = 0;
  std::vector<Secret> secrets_;
  std::shared_ptr<TraceWish> wish_;
};

// For a trace: what a verdict says, without what is secret in it.
std::string verdict_text(const auth::Verdict& verdict);

}  // namespace postern::session
