// SPDX-License-Identifier: GPL-3.0-or-later
// What `check` lines ask for, and what must be true after every dialog.
#include <malloc.h>

#include <algorithm>
#include <utility>

#include "pki.h"
#include "player.h"

namespace postern::dialog {
namespace {

// Two sides, each with a block in flight and one that waits, of the largest kind, and one for a record that is being
// opened; for each of the few sessions of a dialog.
constexpr size_t lent_max = 5 * 70 * 1024;
// What some hundred rounds may leave behind for the dialog's own notes.
constexpr size_t noted_growth_max = 64 * 1024;

size_t heap_in_use() {
  return mallinfo2().uordblks;
}

bool holds(const std::string& text, const std::string& secret) {
  return text.find(secret) != text.npos || text.find(base64_of(secret)) != text.npos;
}

}  // namespace

void Player::check(const Step& step) {
  const std::string& subject = step.words[0].value;
  const auto word = [&](size_t i) { return i < step.words.size() ? step.words[i].value : std::string(); };
  if (subject == "alive") return check_alive();
  if (subject == "memory") return check_memory(step);
  if (subject == "cpu") {
    if (world_.next_deadline() <= world_.now()) fail("something is due all the time");
  } else if (subject == "log") {
    std::string text;
    for (const std::string& line : world_.log())
      text += line + "\n";
    check_text(step, text);
  } else if (subject == "helper") {
    if (word(1) != "asked") return check_text(step, world_.helper().heard_beside_passwords());
    if (std::to_string(world_.helper().asked()) != word(2)) {
      fail("the helper was asked " + std::to_string(world_.helper().asked()) + " times");
    }
  } else if (subject == "backs") {
    if (std::to_string(world_.backs()) != word(1))
      fail("there were " + std::to_string(world_.backs()) + " connections");
  } else if (subject == "sessions") {
    if (std::to_string(world_.sessions()) != word(1))
      fail("there are " + std::to_string(world_.sessions()) + " sessions");
  } else if (subject == "refused") {
    if (world_.connect(word(1), *Endpoint::parse("127.0.0.1:60000")) != nullptr) fail("somebody listens at " + word(1));
  } else if (subject == "keepalive") {
    // The kernel's; the live player looks.
  } else {
    check_end(step, end(subject));
  }
}

void Player::check_end(const Step& step, End& end) {
  const auto word = [&](size_t i) { return i < step.words.size() ? step.words[i].value : std::string(); };
  const std::string act = word(1);
  if (act == "relays") {
    const std::string& front = step.words[0].value;
    return check_relays(step, front, word(2).empty() ? "back" + front.substr(5) : word(2));
  }
  if (act == "has" || act == "lacks") return check_text(step, end.heard());
  if (act == "at") {
    if (end.address().address_text() != word(2)) fail("it is at " + end.address().address_text());
    return;
  }
  if (!end.tls_done()) fail(step.words[0].value + " has no TLS");
  if (act == "tls") {
    if (!word(2).empty() && SSL_get_version(end.peer().ssl()) != word(2)) fail(SSL_get_version(end.peer().ssl()));
  } else if (act == "alpn") {
    if (end.peer().alpn() != word(2)) fail("the protocol is \"" + end.peer().alpn() + "\"");
  } else if (act == "certificate") {
    if (end.peer().subject() != word(2)) fail("the certificate is for " + end.peer().subject());
  } else if (act == "resumed") {
    if (!end.peer().resumed()) fail("it was a full handshake");
  } else {
    fail("check what of " + step.words[0].value + "?");
  }
}

void Player::check_text(const Step& step, const std::string& heard) {
  const bool once = step.words.size() == 4 && step.words[3].value == "once";
  if (step.words.size() != 3 && !once) fail("check WHO has|lacks \"TEXT\" [once]");
  const bool wanted = step.words[1].value == "has";
  const std::string& text = step.words[2].value;
  if (once && heard.find(text) != heard.rfind(text)) {
    fail(step.words[0].value + " has \"" + shown(text) + "\" more than once: " + shown(heard));
  }
  if ((heard.find(text) != heard.npos) == wanted) return;
  fail(step.words[0].value + (wanted ? " lacks \"" : " has \"") + shown(text) + "\": " + shown(heard));
}

void Player::check_relays(const Step& step, const std::string& front, const std::string& back) {
  const std::string ping = "ping" + std::to_string(++pings_);
  // In submission only commands pass.
  const bool bare = step.dialect == Dialect::Submission;
  const std::string command = bare ? "NOOP " + ping + "\r\n" : ping + " NOOP\r\n";
  const std::string answer = bare ? "250 " + ping + "\r\n" : ping + " OK pong\r\n";
  for (const auto& [from, to, text] : {std::tuple(front, back, command), std::tuple(back, front, answer)}) {
    end(from).send(text);
    world_.settle();
    if (end(to).inbox() != text) fail(to + " got \"" + shown(end(to).inbox()) + "\" instead of what " + from + " sent");
    end(to).take(text.size());
  }
}

void Player::check_memory(const Step& step) {
  const std::string what = step.words.size() > 1 ? step.words.back().value : "";
  if (what == "bounded") {
    if (world_.lent_peak() > lent_max) fail(std::to_string(world_.lent_peak()) + " bytes were lent at once");
  } else if (what == "noted") {
    noted_memory_ = heap_in_use();
  } else if (what == "before") {
    const size_t now = heap_in_use();
    if (now > noted_memory_ + noted_growth_max) fail(std::to_string(now - noted_memory_) + " bytes more than before");
  } else {
    fail("check memory bounded|noted|as before");
  }
}

// A new mail program is greeted.
void Player::check_alive() {
  const auto address = Endpoint::parse("127.0.0.1:60000");
  End* const visitor = world_.connect("imap", *address);
  if (visitor == nullptr) fail("nobody listens any more");
  if (!visitor->inbox().starts_with("* OK ")) fail("a new mail program is not greeted");
  visitor->take(visitor->inbox().size());
  visitor->close(End::Close::Full);
  world_.settle();
}

// ---- After every dialog --------------------------------------------------------------------------------------------

void Player::check_afterwards() {
  world_.settle();
  if (!world_.helper().nonsense().empty()) fail("the helper was told \"" + shown(world_.helper().nonsense()) + "\"");
  if (!world_.helper().unread().empty()) fail("the helper was asked once more");
  const auto check_inbox = [this](const End& end, const std::string& name) {
    if (!end.inbox().empty() && !end.closed()) fail(name + " got more: \"" + shown(end.inbox()) + "\"");
  };
  for (const auto& [name, front] : fronts_)
    check_inbox(*front, name);
  for (size_t number = 1; number <= world_.backs(); ++number) {
    // A hello that nobody answered is no surprise.
    End& back = *world_.back(number);
    if (!back.inbox().starts_with('\x16')) check_inbox(back, "back" + std::to_string(number));
  }
  const bool any_paused =
      std::any_of(world_.fronts().begin(), world_.fronts().end(), [](const End& end) { return end.paused(); });
  if (!any_paused && world_.lent() != 0) fail(std::to_string(world_.lent()) + " bytes are lent to sessions at rest");
  leave();
  check_secrets();
}

// Everybody goes home; nothing may be left of any session.
void Player::leave() {
  for (End& front : world_.fronts()) {
    if (front.paused()) front.resume();
    if (!front.closed()) front.close(End::Close::Full);
  }
  world_.settle();
  world_.pass(std::chrono::minutes(40));
  for (size_t number = 1; number <= world_.backs(); ++number)
    world_.back(number)->close(End::Close::Full);
  world_.settle();
  world_.pass(std::chrono::minutes(1));
  if (world_.sessions() != 0) fail(std::to_string(world_.sessions()) + " sessions are left when everybody has gone");
  if (world_.lent() != 0) fail(std::to_string(world_.lent()) + " bytes are lent to nobody");
}

void Player::check_secrets() {
  for (const std::string& secret : stage_.dialog().secrets) {
    for (const std::string& line : world_.log()) {
      if (holds(line, secret)) fail("a log line holds a password: " + shown(line));
    }
    if (holds(world_.helper().heard_beside_passwords(), secret)) fail("the helper saw a password where none belongs");
    for (const End& front : world_.fronts()) {
      if (holds(front.heard(), secret)) fail("a mail program saw a password");
    }
    for (size_t number = 1; number <= world_.backs(); ++number) {
      if (holds(world_.back(number)->heard_beside_logins(), secret))
        fail("a mail server saw a password beside its login");
    }
  }
}

}  // namespace postern::dialog
