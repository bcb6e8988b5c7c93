// SPDX-License-Identifier: GPL-3.0-or-later
// HelperEnd: the helper's end of the gate's connection to it, played by the dialog. It reads and writes the protocol's
// lines with code of its own.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cutter.h"
#include "text.h"

namespace postern::dialog {

// A question as its pairs. A key that came twice is a fault of the gate's.
using HelperQuestion = std::map<std::string, std::string>;

// The line of an answer such as `accept back=127.0.1.1 user="j4711"`, with the id of its question, with LF.
std::string helper_answer(const std::vector<Word>& words, const std::string& id);
// Why the question is not the one of the line `verify "USER" "PASSWORD" via METHOD ...` or `scram "USER" ...`; empty: it
// is.
std::string question_differs(const HelperQuestion& question, const std::vector<Word>& words);

class HelperEnd {
 public:
  HelperEnd(Cutter& cutter, bool up, std::string hello) : cutter_(cutter), up_(up), hello_(std::move(hello)) {}

  // The dialog's half.
  const std::deque<HelperQuestion>& unread() const { return unread_; }
  // Takes the next question; an answer is then due.
  HelperQuestion take_question();
  // The id of the oldest question that was taken and not answered.
  std::optional<std::string> take_id();
  void send(std::string_view bytes);
  // Ends the connection and takes no other one until back_again().
  void close();
  void back_again() { up_ = true; }
  size_t asked() const { return asked_; }
  // All that was asked, without passwords.
  const std::string& heard_beside_passwords() const { return heard_beside_passwords_; }
  // What the gate said that is no protocol; empty: nothing.
  const std::string& nonsense() const { return nonsense_; }

  // The gate's half.
  bool up() const { return up_; }
  bool connected() const { return connected_; }
  void connect();
  void disconnect();
  void deliver(std::string_view bytes);
  std::optional<std::string> receive();
  bool closes() const { return segments_.empty() && closing_; }

 private:
  void understand(std::string_view line);

  Cutter& cutter_;
  bool up_;
  const std::string hello_;
  bool connected_ = false, closing_ = false;
  std::string line_;
  std::deque<std::string> segments_;
  std::deque<HelperQuestion> unread_;
  std::deque<std::string> open_ids_;
  size_t asked_ = 0;
  std::string heard_beside_passwords_, nonsense_;
};

}  // namespace postern::dialog
