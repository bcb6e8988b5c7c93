// SPDX-License-Identifier: GPL-3.0-or-later
#include "auth/desk.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/secret_buffer.h"

namespace postern::auth {
namespace {

constexpr Duration back_off_min = std::chrono::milliseconds(100);
constexpr Duration back_off_max = std::chrono::seconds(5);
// A helper of another version does not change by itself; somebody has to install something.
constexpr Duration back_off_hopeless = std::chrono::seconds(30);

constexpr size_t output_size = 64 * 1024;  // about what a Unix socket takes at once

constexpr Duration trouble_interval = std::chrono::seconds(10);
constexpr Duration state_log_interval = std::chrono::minutes(1);
constexpr uint32_t state_lines_max = 6;  // an interval: three restarts of the helper are said as they happen
constexpr size_t log_lines_max = 64;     // until the reactor fetches them

}  // namespace

void Desk::Report::add(const Report& other) {
  in_flight += other.in_flight;
  waiting += other.waiting;
  asked += other.asked;
  answered += other.answered;
  shared += other.shared;
  timed_out += other.timed_out;
  late += other.late;
  overloaded += other.overloaded;
  malformed += other.malformed;
  connections += other.connections;
}

Desk::Desk(const Options& options, Cache& cache) : options_(options), cache_(cache), back_off_(back_off_min) {}

std::optional<Verdict> Desk::ask(const Question& question, Ticket ticket, Instant now) {
  const CacheKeys keys = cache_.keys(question);
  if (std::optional<Verdict> verdict = cache_.fresh(keys, now)) return verdict;
  if (state_ != State::Ready || silent_) {
    if (std::optional<Verdict> verdict = cache_.stale(keys, now)) {
      // A silent helper is asked all the same, for its answer is how we hear that it is well again.
      const bool ask_too = silent_ && !can_join(keys) && flights_.size() < options_.in_flight_max;
      if (ask_too) static_cast<void>(launch(question, keys, std::nullopt, now));
      return verdict;
    }
  }
  if (can_join(keys)) {
    const uint64_t id = by_question_[keys.with_client];
    wait_for(flights_[id], id, ticket);
    ++report_.shared;
    return std::nullopt;
  }
  if (now >= refuse_from_) return NotNow{"the helper is away"};
  if (flights_.size() >= options_.in_flight_max) {
    ++report_.overloaded;
    if (const uint64_t count = overload_.happened(now)) {
      log(LogLine(Severity::Warning, "helper")
              .add("problem", "overload")
              .add("count", count)
              .say("Too many questions are in flight; further logins are put off."));
    }
    return give_up(keys, "too many questions are in flight", now);
  }
  if (!launch(question, keys, ticket, now)) return NotNow{"the credentials are too long to ask the helper"};
  return std::nullopt;
}

void Desk::forget(Ticket ticket) {
  std::erase_if(answers_, [ticket](const DeskAnswer& answer) { return answer.ticket == ticket; });
  const auto found = by_ticket_.find(ticket);
  if (found == by_ticket_.end()) return;
  const auto flight = flights_.find(found->second);
  by_ticket_.erase(found);
  CHECK(flight != flights_.end());
  --flight->second.waiting;
  // Once put, its answer is still good for the cache.
  if (!flight->second.put && flight->second.waiting == 0) finish(flight, NotNow{});
}

std::optional<DeskAnswer> Desk::next_answer() {
  if (answers_.empty()) return std::nullopt;
  DeskAnswer answer = std::move(answers_.front());
  answers_.pop_front();
  return answer;
}

std::optional<LogLine> Desk::next_log() {
  if (log_.empty()) return std::nullopt;
  LogLine line = std::move(log_.front());
  log_.pop_front();
  return line;
}

// ---- The questions in flight ----

bool Desk::can_join(const CacheKeys& keys) const {
  const auto found = by_question_.find(keys.with_client);
  if (found == by_question_.end()) return false;
  const auto flight = flights_.find(found->second);
  if (flight == flights_.end()) return false;  // It is late already.
  // The helper may have answered before the change that it told us of since.
  return !flight->second.put || !cache_.invalidated_since(flight->second.epoch, keys);
}

void Desk::wait_for(Flight& flight, uint64_t id, Ticket ticket) {
  CHECK(by_ticket_.emplace(ticket, id).second);
  flight.waiters.push_back(ticket);
  ++flight.waiting;
}

bool Desk::launch(const Question& question, const CacheKeys& keys, std::optional<Ticket> ticket, Instant now) {
  std::optional<Secret> line = verify_line(next_id_, question);
  if (!line) return false;
  const uint64_t id = next_id_++;
  Flight& flight = flights_[id];
  flight.keys = keys;
  flight.ports = question.back_ports;
  flight.user = question.user;
  flight.line = std::move(*line);
  flight.deadline = now + options_.timeout;
  if (ticket) wait_for(flight, id, *ticket);
  by_question_[keys.with_client] = id;
  unput_.push_back(id);
  return true;
}

Verdict Desk::give_up(const CacheKeys& keys, std::string why, Instant now) {
  if (std::optional<Verdict> verdict = cache_.stale(keys, now)) return std::move(*verdict);
  return NotNow{std::move(why)};
}

void Desk::finish(Flights::iterator flight, const Verdict& verdict) {
  for (const Ticket ticket : flight->second.waiters) {
    const auto found = by_ticket_.find(ticket);
    if (found == by_ticket_.end() || found->second != flight->first) continue;
    by_ticket_.erase(found);
    answers_.push_back({ticket, clone(verdict)});
  }
  forget_question(flight->second.keys, flight->first);
  flights_.erase(flight);
}

void Desk::forget_question(const CacheKeys& keys, uint64_t id) {
  const auto found = by_question_.find(keys.with_client);
  if (found != by_question_.end() && found->second == id) by_question_.erase(found);
}

// What the lost connection has left unanswered, for the next one.
void Desk::put_again(Instant now) {
  for (const auto& [id, late] : late_)
    forget_question(late.keys, id);
  late_.clear();
  unput_.clear();
  for (auto next = flights_.begin(); next != flights_.end();) {
    const auto flight = next++;
    if (flight->second.waiting == 0) {
      finish(flight, NotNow{});
    } else if (hopeless_ || (flight->second.put && flight->second.repeated)) {
      finish(flight, give_up(flight->second.keys, "the helper left without an answer", now));
    } else {
      flight->second.repeated = flight->second.repeated || flight->second.put;
      flight->second.put = false;
      unput_.push_back(flight->first);
    }
  }
}

void Desk::time_out_flights(Instant now) {
  while (!flights_.empty() && flights_.begin()->second.deadline <= now) {
    const auto flight = flights_.begin();
    const uint64_t id = flight->first;
    const bool put = flight->second.put;
    const Late late{flight->second.keys, flight->second.ports, flight->second.epoch};
    ++report_.timed_out;
    // Away, it is not slow, and the log has said so.
    const uint64_t count = state_ == State::Ready ? timeouts_.happened(now) : 0;
    if (count > 0) {
      log(LogLine(Severity::Warning, "helper")
              .add("problem", "timeout")
              .add("user", flight->second.user)
              .add("count", count)
              .say("The helper does not answer in time; these logins are put off."));
    }
    silent_ = state_ == State::Ready;
    finish(flight, give_up(late.keys, "the helper did not answer in time", now));
    if (put && state_ == State::Ready) expect_late(id, late);
  }
}

void Desk::expect_late(uint64_t id, const Late& late) {
  const bool is_latest = by_question_.emplace(late.keys.with_client, id).second;
  if (!is_latest) return;
  late_.emplace(id, late);
  if (late_.size() <= options_.in_flight_max) return;
  forget_question(late_.begin()->second.keys, late_.begin()->first);
  late_.erase(late_.begin());
}

// ---- The connection ----

bool Desk::wants_connection(Instant now) const {
  return state_ == State::Away && now >= retry_at_;
}

void Desk::on_connecting(Instant now) {
  CHECK(state_ == State::Away);
  state_ = State::Connecting;
  hopeless_ = false;
  hello_deadline_ = now + options_.timeout;
}

void Desk::on_connected(Instant now) {
  if (state_ != State::Connecting) return;
  state_ = State::Greeting;
  hello_deadline_ = now + options_.timeout;
  hello_unsent_ = true;
  ++report_.connections;
}

void Desk::on_received(std::string_view bytes, Instant now) {
  if (state_ != State::Greeting && state_ != State::Ready) return;
  splitter_.feed(bytes);
  while (state_ != State::Leaving) {
    const std::optional<std::string_view> line = splitter_.next();
    if (!line) break;
    on_line(*line, now);
  }
  if (state_ != State::Leaving && splitter_.overflowed()) leave("it sent a line of more than 16 KiB", false);
}

void Desk::on_disconnected(Instant now, std::string_view why) {
  if (state_ == State::Away) return;
  if (state_ == State::Connecting) {
    down_why_ = "it cannot be reached";
  } else if (state_ != State::Leaving) {
    down_why_ = splitter_.in_mid_line() ? "it left in the middle of a line" : "it closed the connection";
  }
  if (!why.empty()) down_why_.append(" (").append(why).append(")");
  retry_at_ = now + (hopeless_ ? back_off_hopeless : back_off_);
  back_off_ = std::min(back_off_ * 2, back_off_max);
  refuse_from_ = std::min(refuse_from_, hopeless_ ? now : now + options_.timeout);
  state_ = State::Away;
  silent_ = false;
  hello_unsent_ = false;
  splitter_.clear();
  put_again(now);
  say_state(now);
}

Secret Desk::take_output() {
  SecretBuffer output;
  if (state_ != State::Greeting && state_ != State::Ready) return Secret();
  if (std::exchange(hello_unsent_, false)) output.append(hello_line().reveal());
  while (state_ == State::Ready && !unput_.empty() && output.size() < output_size) {
    const auto flight = flights_.find(unput_.front());
    unput_.pop_front();
    if (flight == flights_.end()) continue;  // Timed out or forgotten.
    output.append(flight->second.line.reveal());
    flight->second.put = true;
    flight->second.epoch = cache_.epoch();
    ++report_.asked;
  }
  return output.take();
}

Instant Desk::next_deadline() const {
  Instant next = instant_never;
  if (!flights_.empty()) next = flights_.begin()->second.deadline;
  if (state_ == State::Away) next = std::min(next, retry_at_);
  if (state_ == State::Connecting || state_ == State::Greeting) next = std::min(next, hello_deadline_);
  if (state_unsaid()) next = std::min(next, state_log_window_ + state_log_interval);
  return next;
}

void Desk::on_time(Instant now) {
  if ((state_ == State::Connecting || state_ == State::Greeting) && now >= hello_deadline_) {
    leave(state_ == State::Connecting ? "it does not take the connection" : "it does not say hello", false);
  }
  time_out_flights(now);
  say_state(now);
}

void Desk::leave(std::string why, bool hopeless) {
  down_why_ = std::move(why);
  hopeless_ = hopeless;
  state_ = State::Leaving;
}

// ---- What the helper says ----

void Desk::on_line(std::string_view line, Instant now) {
  const Heard heard = read_line(line);
  if (const auto* answer = std::get_if<HeardAnswer>(&heard)) {
    on_answer(*answer, now);
  } else if (const auto* hello = std::get_if<HeardHello>(&heard)) {
    on_hello(*hello, now);
  } else if (const auto* invalidate = std::get_if<HeardInvalidate>(&heard)) {
    for (const std::string& user : invalidate->users)
      cache_.invalidate(user);
  } else if (const auto* garbage = std::get_if<HeardGarbage>(&heard)) {
    leave("it sent " + std::string(garbage->why), false);
  } else if (const auto* unknown = std::get_if<HeardUnknown>(&heard)) {
    on_odd(unknown->op, now);
  } else if (std::holds_alternative<HeardError>(heard)) {
    if (state_ == State::Greeting) {
      leave("it does not understand our hello; it is no helper, or one of another version", true);
    } else {
      on_odd("error", now);
    }
  }
}

void Desk::on_hello(const HeardHello& hello, Instant now) {
  if (state_ != State::Greeting) return;
  if (hello.version != protocol_version) {
    leave("it speaks version " + std::to_string(hello.version) + " of the protocol and this gate version " +
              std::to_string(protocol_version) + "; install helper and gate of one release",
          true);
    return;
  }
  state_ = State::Ready;
  back_off_ = back_off_min;
  refuse_from_ = instant_never;
  down_why_.clear();
  helper_name_ = hello.name;
  say_state(now);
}

void Desk::on_answer(const HeardAnswer& heard, Instant now) {
  silent_ = false;
  const auto flight = flights_.find(heard.id);
  if (flight == flights_.end() || !flight->second.put) return on_late_answer(heard, now);
  Answer answer = read_answer(heard.form, flight->second.ports);
  if (answer.fault.empty()) {
    ++report_.answered;
  } else {
    on_malformed(flight->second.user, answer.fault, now);
  }
  cache_.keep(flight->second.keys, answer.verdict, answer.keeping, flight->second.epoch, now);
  NotNow* not_now = std::get_if<NotNow>(&answer.verdict);
  if (not_now != nullptr) answer.verdict = give_up(flight->second.keys, std::move(not_now->text), now);
  finish(flight, answer.verdict);
}

void Desk::on_late_answer(const HeardAnswer& heard, Instant now) {
  const auto found = late_.find(heard.id);
  if (found == late_.end()) return;  // An id that we never used: nothing that somebody waits for.
  ++report_.late;
  const Late& late = found->second;
  const auto latest = by_question_.find(late.keys.with_client);
  // A question that was put again since gets, or got, the newer answer.
  if (latest != by_question_.end() && latest->second == heard.id) {
    const Answer answer = read_answer(heard.form, late.ports);
    cache_.keep(late.keys, answer.verdict, answer.keeping, late.epoch, now);
    by_question_.erase(latest);
  }
  late_.erase(found);
}

void Desk::on_malformed(std::string_view user, std::string_view fault, Instant now) {
  ++report_.malformed;
  const uint64_t count = malformed_.happened(now);
  if (count == 0) return;
  log(LogLine(Severity::Warning, "helper")
          .add("problem", "answer")
          .add("user", user)
          .add("count", count)
          .say("The helper's answer is invalid: " + std::string(fault) + ". The login is put off."));
}

void Desk::on_odd(std::string_view what, Instant now) {
  const uint64_t count = oddities_.happened(now);
  if (count == 0) return;
  log(LogLine(Severity::Notice, "helper").add("problem", "unknown").add("op", what).add("count", count));
}

// ---- The log ----

uint64_t Desk::Trouble::happened(Instant now) {
  ++unsaid;
  if (now < next) return 0;
  next = now + trouble_interval;
  return std::exchange(unsaid, 0);
}

// Between a loss and the next hello the helper is down, however often it is tried.
bool Desk::state_unsaid() const {
  if (state_ == State::Ready) return said_up_ != true;
  return said_up_ != false && !down_why_.empty();
}

// One line for a change. A helper that comes and goes all the time gets a few, then the state at the end of the
// interval.
void Desk::say_state(Instant now) {
  if (!state_unsaid()) return;
  if (now >= state_log_window_ + state_log_interval) {
    state_log_window_ = now;
    state_lines_ = 0;
  }
  if (state_lines_ == state_lines_max) return;
  ++state_lines_;
  said_up_ = state_ == State::Ready;
  if (*said_up_) {
    log(LogLine(Severity::Notice, "helper").add("state", "up").add("name", helper_name_));
    return;
  }
  log(LogLine(hopeless_ ? Severity::Error : Severity::Warning, "helper")
          .add("state", "down")
          .add("socket", options_.helper)
          .say("The helper is away: " + down_why_ + ". Logins wait or are put off until it is back."));
}

void Desk::log(LogLine line) {
  if (log_.size() < log_lines_max) log_.push_back(std::move(line));
}

Desk::Report Desk::report() const {
  Report report = report_;
  report.connected = state_ == State::Ready;
  report.in_flight = flights_.size();
  report.waiting = by_ticket_.size();
  return report;
}

}  // namespace postern::auth
