// SPDX-License-Identifier: GPL-3.0-or-later
#include "player.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "config/config.h"
#include "daemon/setup.h"
#include "pki.h"

namespace postern::dialog {

using tls::test::Peer;
using tls::test::PeerSettings;

namespace {

bool is_front(const std::string& who) {
  return who.starts_with("front");
}

int version_of(const std::string& text, int fallback) {
  static const std::map<std::string, int> versions = {
      {"1.0", TLS1_VERSION}, {"1.1", TLS1_1_VERSION}, {"1.2", TLS1_2_VERSION}, {"1.3", TLS1_3_VERSION}};
  const auto found = versions.find(text);
  return found == versions.end() ? fallback : found->second;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

size_t number_of(const std::string& text) {
  size_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// The certificates' store, once for the process; nobody outlives it.
tls::TicketKeys& ticket_keys() {
  static tls::TicketKeys keys;
  return keys;
}

void start_library_once() {
  static const bool started = (tls::start_library(), true);
  static_cast<void>(started);
}

std::string next_tag(const std::string& tag) {
  const size_t digits = std::min(tag.find_first_of("0123456789"), tag.size());
  return tag.substr(0, digits) + std::to_string(number_of(tag.substr(digits)) + 1);
}

void replace_all(std::string& text, const std::string& word, const std::string& by) {
  for (size_t at = 0; (at = text.find(word, at)) != text.npos; at += by.size())
    text.replace(at, word.size(), by);
}

}  // namespace

// ---- The stage -----------------------------------------------------------------------------------------------------

Stage::Stage(const Dialog& dialog) : dialog_(dialog) {
  start_library_once();
  start_ = load();
}

World::Start Stage::load() const {
  const std::string text = configuration(dialog_, certificate_folder());
  config::LoadResult loaded = config::load_text(text, dialog_.name);
  if (!loaded.config) throw Fault(0, "the dialog's settings: " + loaded.problems.front().sentence() + "\n" + text);
  certificates::Store store = daemon::store_of(*loaded.config, ticket_keys());
  std::vector<certificates::Note> notes;
  const absl::Status status = store.load(notes);
  if (!status.ok()) throw Fault(0, "the dialog's settings: " + std::string(status.message()));
  absl::StatusOr<std::shared_ptr<const session::Setup>> setup = daemon::build_setup(*loaded.config, store);
  if (!setup.ok()) throw Fault(0, "the dialog's settings: " + std::string(setup.status().message()));
  return {*std::move(setup), loaded.config->auth};
}

// ---- The player ----------------------------------------------------------------------------------------------------

Player::Player(const Stage& stage, const std::vector<Step>& steps, Cutter& cutter)
    : stage_(stage), steps_(steps), world_(stage.start(), stage.dialog(), cutter) {}

void Player::play() {
  try {
    for (const Step& step : steps_) {
      line_ = step.line;
      act(step);
    }
    check_afterwards();
  } catch (const Fault& fault) {
    // What the world finds out it cannot say where.
    throw fault.line != 0 ? fault : Fault(line_, fault.what());
  }
}

void Player::act(const Step& step) {
  switch (step.verb) {
    case Verb::Send: return send(step);
    case Verb::Expect: return expect(step);
    case Verb::HelperAsked: return helper_asked(step);
    case Verb::HelperSays: return helper_says(step);
    case Verb::Open: return open(step);
    case Verb::StartTls: return start_tls(step);
    case Verb::SendRecords: {
      std::vector<std::string> records;
      for (const Word& word : step.words)
        records.push_back(word.value);
      end(step.who).send_records(records);
      return world_.settle();
    }
    case Verb::CloseBy: {
      const bool half = has_word(step.words, "half"), bare = has_word(step.words, "bare");
      const bool reset = has_word(step.words, "rst");
      end(step.who).close(reset  ? End::Close::Reset
                          : bare ? End::Close::Bare
                          : half ? End::Close::Half
                                 : End::Close::Full);
      return world_.settle();
    }
    case Verb::ClosedBy: return closed_by(step);
    case Verb::Wait: return world_.pass(duration_of(step.words[0].value).value_or(Duration(0)));
    case Verb::Quiet: return quiet(step);
    case Verb::Pause: return end(step.who).pause();
    case Verb::Resume: end(step.who).resume(); return world_.settle();
    case Verb::Do: return carry_out(step);
    case Verb::Crowd: fail("only the live player has a crowd");
    case Verb::Check: return check(step);
  }
}

bool Player::comes_true(const std::optional<Duration>& within, const Condition& condition) {
  world_.settle();
  const Instant limit = world_.now() + within.value_or(Duration(0));
  while (!condition()) {
    if (!within || !world_.pass_to_next(limit)) return false;
  }
  return true;
}

End* Player::find(const std::string& who) {
  if (!is_front(who)) return world_.back(number_of_end(who));
  const auto found = fronts_.find(who);
  return found == fronts_.end() ? nullptr : found->second;
}

End& Player::end(const std::string& who) {
  End* const found = find(who);
  if (found == nullptr) fail(who + " has no connection");
  return *found;
}

void Player::fail(const std::string& sentence) const {
  throw Fault(line_, sentence);
}

// ---- Connections and TLS -------------------------------------------------------------------------------------------

void Player::open(const Step& step) {
  if (step.words.size() < 2) fail("open whom, and where?");
  const std::string how = step.words[0].value, listener = step.words[1].value;
  std::string from = "127.0.0.1";
  for (size_t i = 2; i + 1 < step.words.size(); ++i) {
    if (step.words[i].value == "from") from = step.words[i + 1].value;
  }
  const std::optional<Endpoint> address = Endpoint::parse(from, static_cast<uint16_t>(40000 + fronts_.size()));
  End* const end = world_.connect(listener, *address);
  if (end == nullptr) fail("nobody listens at " + listener);
  fronts_[step.who] = end;
  const UsualListener* const known = find_listener(listener);
  const bool implicit = known != nullptr && known->tls == "implicit";
  if (how == "tls" || (how == "open" && implicit)) start_tls(step);
}

void Player::start_tls(const Step& step) {
  End& end = this->end(step.who);
  if (!is_front(step.who)) {
    end.start_tls(Peer::mail_server(mail_server_certificate(setting(step.words, "certificate", "store"))), {}, 0);
    world_.settle();
    return finish_handshake(step, end);
  }
  PeerSettings settings;
  const std::string max = setting(step.words, "max");
  settings.max_version = version_of(max, TLS1_3_VERSION);
  settings.min_version = std::min(version_of(setting(step.words, "min"), TLS1_2_VERSION), settings.max_version);
  settings.sni = setting(step.words, "sni", "mail.example.test");
  if (settings.sni == "none") settings.sni.clear();
  settings.alpn = split(setting(step.words, "alpn"));
  settings.groups = setting(step.words, "group");
  // Names of protocols that nobody speaks make a hello as large as one likes.
  for (size_t pad = number_of(setting(step.words, "pad")); pad > 32; pad -= 32) {
    settings.alpn.insert(settings.alpn.begin(), "x-" + std::string(25, 'p') + std::to_string(1000 + pad % 1000));
  }
  const std::string resume = setting(step.words, "resume");
  if (!resume.empty()) settings.resume = tickets_[resume].get();
  end.start_tls(Peer::mail_program(settings), setting(step.words, "glued"), number_of(setting(step.words, "chunk")));
  world_.settle();
  finish_handshake(step, end);
  const std::string save = setting(step.words, "save");
  if (!save.empty()) tickets_[save] = end.peer().session();
}

void Player::finish_handshake(const Step& step, End& end) {
  const bool may_fail = has_word(step.words, "fail");
  const bool must_fail = may_fail && !has_word(step.words, "or");
  const bool failed = !end.tls_done();
  if (failed && !may_fail) fail("the TLS handshake of " + step.who + " failed: " + end.peer().alert());
  if (!failed && must_fail) fail("the TLS handshake of " + step.who + " should have failed");
  const std::string alert = setting(step.words, "alert");
  std::string said = end.peer().alert();
  std::replace(said.begin(), said.end(), ' ', '_');
  if (!alert.empty() && said != alert) fail("the alert is \"" + said + "\" instead of \"" + alert + "\"");
}

// ---- Lines of the mail program and the mail server -----------------------------------------------------------------

void Player::send(const Step& step) {
  if (step.optional) {
    const End* present = find(step.who);
    if (present == nullptr || present->ended() || present->tls_failed()) return;
  }
  std::string octets = step.octets;
  if (!is_front(step.who)) {
    const std::string& tag = tags_[step.who];
    replace_all(octets, "@nexttag", next_tag(tag));
    replace_all(octets, "@tag", tag);
  }
  end(step.who).send(octets);
  world_.settle();
}

void Player::expect(const Step& step) {
  if (step.optional) {
    End* const present = find(step.who);
    if (present != nullptr) static_cast<void>(matches(step, *present));
    return;
  }
  if (!comes_true(step.within, [&] { return find(step.who) != nullptr; })) fail(step.who + " has no connection");
  End& from = end(step.who);
  switch (step.what.kind) {
    case What::Kind::Login: return expect_login(step, from);
    case What::Kind::Id: return expect_id(step, from);
    case What::Kind::StartTls: return expect_starttls(step, from);
    case What::Kind::Proxy: return expect_proxy(step, from);
    case What::Kind::Octets:
    case What::Kind::Begins:
    case What::Kind::Line:
    case What::Kind::List: break;
  }
  if (!comes_true(step.within, [&] { return matches(step, from); })) {
    fail(step.who + " should have got " + step.what.source + ", but got \"" + shown(from.inbox()) + "\"" +
         (from.ended() ? ", and the end" : ""));
  }
}

// Takes what matches.
bool Player::matches(const Step& step, End& end) {
  const What& what = step.what;
  const std::string& inbox = end.inbox();
  if (what.kind == What::Kind::Octets) {
    if (!inbox.starts_with(what.text)) return false;
    end.take(what.text.size());
    return true;
  }
  if (what.kind == What::Kind::List) {
    const std::string list = inbox.substr(0, list_size(inbox, step.dialect));
    if (list.empty()) return false;
    for (size_t i = 0; i + 1 < what.words.size(); i += 2) {
      const bool has = list.find(what.words[i + 1].value) != list.npos;
      if (has != (what.words[i].value == "has")) return false;
    }
    end.take(list.size());
    return true;
  }
  const size_t newline = inbox.find('\n');
  if (newline == inbox.npos || newline == 0 || inbox[newline - 1] != '\r') return false;
  const std::string line = inbox.substr(0, newline - 1);
  const bool good =
      what.kind == What::Kind::Begins ? line.starts_with(what.text) : std::regex_match(line, *what.pattern);
  if (!good) return false;
  // The tag that an answer will need.
  if (!is_front(step.who)) tags_[step.who] = line.substr(0, line.find(' '));
  end.take(newline + 1);
  return true;
}

// ---- The helper ----------------------------------------------------------------------------------------------------

void Player::helper_asked(const Step& step) {
  HelperEnd& helper = world_.helper();
  const bool asked = comes_true(step.within, [&] { return !helper.unread().empty(); });
  if (step.optional) asked_ = asked;
  if (!asked && step.optional) return;
  if (!asked) fail("the helper was not asked");
  const HelperQuestion question = helper.take_question();
  if (const std::string difference = question_differs(question, step.words); !difference.empty()) {
    fail("the helper was asked something else: " + difference);
  }
}

void Player::helper_says(const Step& step) {
  HelperEnd& helper = world_.helper();
  if (step.optional && !asked_) return;
  if (step.words.empty()) fail("the helper says what?");
  const std::string& what = step.words[0].value;
  if (what == "hang") return;
  if (what == "close") {
    helper.close();
  } else if (what == "back") {
    helper.back_again();
    if (!comes_true(Duration(std::chrono::minutes(1)), [&] { return helper.connected(); })) {
      fail("the gate does not come back to the helper");
    }
  } else if (what == "garbage") {
    helper.send(step.words.at(1).value);
  } else if (what == "invalidate") {
    helper.send(helper_answer({{"user", step.words.at(1).value, true}}, "0").replace(0, 4, "op=invalidate"));
  } else {
    const std::optional<std::string> id = helper.take_id();
    if (!id) fail("there is no question that the helper could answer");
    const std::string line = helper_answer(step.words, *id);
    helper.send(what == "partial" ? line.substr(0, line.size() / 2) : line);
  }
  world_.settle();
}

// ---- Ends, and the rest --------------------------------------------------------------------------------------------

// After its close_notify the gate leaves the end itself to the other side for a moment.
void Player::closed_by(const Step& step) {
  if (!comes_true(step.within.value_or(Duration(1000)),
                  [&] { return find(step.who) != nullptr && find(step.who)->ended(); })) {
    End* const open = find(step.who);
    fail("the gate should have ended " + step.who +
         (open == nullptr ? std::string() : "; it holds \"" + shown(open->inbox()) + "\""));
  }
  End& closed = end(step.who);
  if (has_word(step.words, "anything")) closed.take(closed.inbox().size());
  if (!closed.inbox().empty()) fail(step.who + " got \"" + shown(closed.inbox()) + "\" before the end");
  if (has_word(step.words, "notify") && !closed.was_told_close()) fail("there was no close_notify before the end");
  if (has_word(step.words, "half") && closed.gone()) fail("the gate closed " + step.who + " altogether");
}

void Player::quiet(const Step& step) {
  const std::optional<Duration> time = duration_of(step.words.empty() ? "" : step.words[0].value);
  if (!time) fail("how long?");
  End* const before = find(step.who);
  const bool ended_before = before != nullptr && before->ended();
  const size_t size = before == nullptr ? 0 : before->inbox().size();
  const size_t asked = world_.helper().asked();
  world_.pass(*time);
  if (step.who == "helper") {
    if (world_.helper().asked() != asked || !world_.helper().unread().empty()) fail("the helper was asked");
    return;
  }
  End* const after = find(step.who);
  if (before == nullptr && after != nullptr) fail("a connection to " + step.who + " was made");
  if (after == nullptr) return;
  if (after->inbox().size() != size) fail(step.who + " got \"" + shown(after->inbox()) + "\"");
  if (after->ended() != ended_before) fail(step.who + " was ended");
}

void Player::carry_out(const Step& step) {
  const std::string& what = step.words[0].value;
  if (what == "reload") {
    world_.reload(stage_.load().setup);
  } else if (what == "stop") {
    world_.drain(duration_of(setting(step.words, "drain", "10s")).value_or(Duration(0)));
  } else {
    fail("do what?");
  }
  world_.settle();
}

// ---- Runs ----------------------------------------------------------------------------------------------------------

namespace {

// One run. The message of its failure, or nothing; `cutter` then knows the lines.
std::optional<std::string> run(const Stage& stage, const std::vector<Step>& steps, Cutter& cutter) {
  try {
    Player(stage, steps, cutter).play();
  } catch (const Fault& fault) {
    return stage.dialog().file + ":" + std::to_string(fault.line) + ": " + fault.what();
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> play(const Dialog& dialog, Kind kind) {
  std::optional<Stage> stage;
  try {
    stage.emplace(dialog);
  } catch (const Fault& fault) {
    return dialog.file + ": " + fault.what();
  }
  const std::vector<Step> steps = kind == Kind::Glued ? glued(dialog.steps) : dialog.steps;
  Cutter first(kind);
  if (const auto failure = run(*stage, steps, first)) return failure;
  if (kind != Kind::FrontCuts && kind != Kind::BackCuts) return std::nullopt;
  for (const size_t place : first.places(kind == Kind::FrontCuts ? Side::Front : Side::Back)) {
    Cutter cutter(kind, place);
    if (const auto failure = run(*stage, steps, cutter))
      return *failure + " (cut at byte " + std::to_string(place) + ")";
  }
  return std::nullopt;
}

bool is_worthwhile(const Dialog& dialog, Kind kind) {
  const auto any = [&](auto&& condition) { return std::any_of(dialog.steps.begin(), dialog.steps.end(), condition); };
  switch (kind) {
    case Kind::Whole: return true;
    case Kind::Glued: return glued(dialog.steps).size() != dialog.steps.size();
    case Kind::FrontCuts:
    case Kind::FrontBytes: return any([](const Step& step) { return step.verb == Verb::Send && is_front(step.who); });
    case Kind::BackCuts:
    case Kind::BackBytes:
      return any([](const Step& step) {
        return (step.verb == Verb::Send && !is_front(step.who)) || step.verb == Verb::HelperSays;
      });
    case Kind::Moved:
    case Kind::WireBytes:
      return any([](const Step& step) { return step.verb == Verb::Send || step.verb == Verb::Open; });
  }
  return false;
}

}  // namespace postern::dialog
