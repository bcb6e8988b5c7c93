// SPDX-License-Identifier: GPL-3.0-or-later
// Plays a dialog against the in-memory gate and says what did not hold.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cutter.h"
#include "script.h"
#include "world.h"

namespace postern::dialog {

// All that the runs of one dialog share.
class Stage {
 public:
  // Loads the gate's configuration; throws Fault when the dialog's settings are none.
  explicit Stage(const Dialog& dialog);
  const Dialog& dialog() const { return dialog_; }
  World::Start load() const;
  const World::Start& start() const { return start_; }

 private:
  const Dialog& dialog_;
  World::Start start_;
};

class Player {
 public:
  Player(const Stage& stage, const std::vector<Step>& steps, Cutter& cutter);

  // Throws Fault at the first line that does not hold.
  void play();

 private:
  using Condition = std::function<bool()>;

  // player.cc: the acts.
  void act(const Step& step);
  void open(const Step& step);
  void start_tls(const Step& step);
  void finish_handshake(const Step& step, End& end);
  void send(const Step& step);
  void expect(const Step& step);
  bool matches(const Step& step, End& end);
  void helper_asked(const Step& step);
  void helper_says(const Step& step);
  void closed_by(const Step& step);
  void quiet(const Step& step);
  void carry_out(const Step& step);

  // checks.cc: the `check` lines, and what is checked after every run.
  void check(const Step& step);
  void check_end(const Step& step, End& end);
  void check_text(const Step& step, const std::string& heard);
  void check_relays(const Step& step, const std::string& front, const std::string& back);
  void check_memory(const Step& step);
  void check_alive();
  void check_afterwards();
  void check_secrets();
  void leave();

  // mail_server.cc: a login as the mail server sees it.
  struct SeenLogin {
    std::string method, user, password, mailbox;
  };
  void expect_login(const Step& step, End& end);
  SeenLogin read_imap_login(const Step& step, End& end);
  SeenLogin read_pop3_login(const Step& step, End& end);
  SeenLogin read_submission_login(const Step& step, End& end);
  SeenLogin read_sieve_login(const Step& step, End& end);
  SeenLogin read_message(const std::string& mechanism, const std::string& base64);
  SeenLogin read_auth(End& end, std::string rest, const std::string& challenge_begin);
  std::string take_login_line(const Step& step, End& end);
  std::string take_sieve_string(End& end, std::string& rest);
  void expect_id(const Step& step, End& end);
  void expect_proxy(const Step& step, End& end);
  void expect_starttls(const Step& step, End& end);
  std::string take_line(End& end, bool login);
  std::string take_argument(End& end, std::string& rest);
  void say(End& end, const std::string& text);

  // Whether it comes true, `within` a time or else without the clock moving.
  bool comes_true(const std::optional<Duration>& within, const Condition& condition);
  End& end(const std::string& who);
  End* find(const std::string& who);
  [[noreturn]] void fail(const std::string& sentence) const;

  const Stage& stage_;
  const std::vector<Step>& steps_;
  World world_;
  size_t line_ = 0;
  std::map<std::string, End*> fronts_;
  std::map<std::string, tls::test::Session> tickets_;
  std::map<std::string, std::string> tags_;  // by mail server's connection: of the command that awaits its answer
  bool asked_ = false;                       // the last optional question was asked
  size_t noted_memory_ = 0;
  size_t pings_ = 0;
};

// Plays the dialog in that way, in as many runs as it takes. The message of the first failure, or nothing.
std::optional<std::string> play(const Dialog& dialog, Kind kind);

// Whether that way of playing makes a difference to the dialog.
bool is_worthwhile(const Dialog& dialog, Kind kind);

}  // namespace postern::dialog
