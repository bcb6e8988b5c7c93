// SPDX-License-Identifier: GPL-3.0-or-later
// In which order a verifier asks, what weighs how much, and what it says of users whose password is right.
#include "helper/verifier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace postern::helper {
namespace {

Entry entry_with(std::string_view password,
                 std::initializer_list<std::pair<const char*, const char*>> attributes = {}) {
  Entry entry;
  entry.hash = Secret("{PLAIN}" + std::string(password));
  for (const auto& [name, value] : attributes)
    EXPECT_TRUE(set_attribute(entry.route, name, value).ok()) << name;
  return entry;
}

// Answers what the test says.
class Scripted : public Source {
 public:
  explicit Scripted(std::string name) : name_(std::move(name)) {}
  const std::string& name() const override { return name_; }
  Lookup find(const Asked& question) override {
    ++asked;
    if (fails) return SourceFailure{"down"};
    if (refuses)
      return Refused{
          .reason = POSTERN_REASON_DISABLED, .why = "as it likes", .text = "Go", .code = "X", .delay = Duration(7)};
    Entries found;
    for (const auto& [user, make] : known) {
      if (user == question.user) found.push_back(make());
    }
    if (found.empty()) return UnknownUser{};
    for (Entry& entry : found) {
      if (entry.route.pool.empty() && names_pool) entry.route.pool = name_;
    }
    if (verifies && !question.needs_hash) return Admitted{std::move(found.front())};
    return found;
  }
  bool takes_tokens() const override { return verifies; }
  bool keeps_hashes() const override { return !verifies; }
  absl::Status check() override { return absl::OkStatus(); }
  void upgrade(const std::string& user, const Secret& old, Secret fresh) override {
    upgraded.push_back(user + " " + std::string(old.reveal()) + " " + std::string(fresh.reveal().substr(0, 11)));
  }

  std::vector<std::string> upgraded;
  std::multimap<std::string, std::function<Entry()>> known;
  bool fails = false;
  bool refuses = false;
  bool verifies = false;
  bool names_pool = true;
  int asked = 0;

  void knows(const std::string& user, const std::string& password = "right") {
    known.emplace(user, [password] { return entry_with(password); });
  }

 private:
  std::string name_;
};

struct Chain {
  Chain() {
    for (const char* name : {"one", "two"})
      sources.push_back(std::make_unique<Scripted>(name));
    first = static_cast<Scripted*>(sources[0].get());
    second = static_cast<Scripted*>(sources[1].get());
  }
  void make(NameRules names = {}, bool upgrade = false) {
    verifier = std::make_unique<Verifier>(
        std::move(sources), Passwords::Options{.scheme = Scheme::Bcrypt, .upgrade_schemes = upgrade}, std::move(names));
  }
  postern_question question(const char* user, const char* password) {
    postern_question question{};
    question.protocol = postern_text("imap");
    question.client = postern_text("10.1.2.3:4711");
    question.user = postern_text(user);
    question.password = postern_text(password);
    return question;
  }
  Decision ask(const char* user, const char* password) {
    if (verifier == nullptr) make();
    return verifier->verify(question(user, password));
  }

  std::vector<std::unique_ptr<Source>> sources;
  Scripted* first;
  Scripted* second;
  std::unique_ptr<Verifier> verifier;
};

SourceRules rules_with(std::function<void(SourceRules&)> change) {
  SourceRules rules;
  change(rules);
  return rules;
}

TEST(Verifier, UnknownGoesOnMismatchStopsFailureStops) {
  Chain chain;
  chain.first->knows("joe");
  chain.second->knows("ann");
  EXPECT_EQ(chain.ask("joe", "right").route.pool, "one");
  EXPECT_EQ(chain.second->asked, 0);
  const Decision wrong = chain.ask("joe", "wrong");
  EXPECT_EQ(wrong.result, POSTERN_REJECT);
  EXPECT_EQ(wrong.source, "one");
  EXPECT_EQ(chain.second->asked, 0);
  EXPECT_EQ(chain.ask("ann", "right").route.pool, "two");
  const Decision nobody = chain.ask("bob", "right");
  EXPECT_EQ(nobody.result, POSTERN_REJECT);
  EXPECT_EQ(nobody.source, "");
  chain.first->fails = true;
  chain.second->asked = 0;
  EXPECT_EQ(chain.ask("ann", "right").result, POSTERN_UNAVAILABLE);
  EXPECT_EQ(chain.second->asked, 0);
}

// A failure that was passed over is remembered: nobody behind it can turn it into a wrong password.
TEST(Verifier, RulesSayWhoGoesOn) {
  Chain chain;
  chain.first->set_rules(rules_with([](SourceRules& rules) {
    rules.on_mismatch = SourceRules::Then::Continue;
    rules.on_failure = SourceRules::Then::Continue;
  }));
  chain.first->knows("joe", "old");
  chain.second->knows("joe", "new");
  EXPECT_EQ(chain.ask("joe", "old").route.pool, "one");
  EXPECT_EQ(chain.ask("joe", "new").route.pool, "two");
  EXPECT_EQ(chain.ask("joe", "wrong").result, POSTERN_REJECT);
  chain.first->fails = true;
  EXPECT_EQ(chain.ask("joe", "new").route.pool, "two");
  EXPECT_EQ(chain.ask("joe", "wrong").result, POSTERN_UNAVAILABLE);
  EXPECT_EQ(chain.ask("bob", "wrong").result, POSTERN_UNAVAILABLE);
}

TEST(Verifier, UnknownMayEndIt) {
  Chain chain;
  chain.first->set_rules(rules_with([](SourceRules& rules) {
    rules.users = {"*@a.test"};
    rules.on_unknown = SourceRules::Then::Stop;
  }));
  chain.second->knows("joe@a.test");
  chain.second->knows("joe@b.test");
  EXPECT_EQ(chain.ask("joe@a.test", "right").result, POSTERN_REJECT);
  EXPECT_EQ(chain.ask("joe@b.test", "right").route.pool, "two");
  EXPECT_EQ(chain.first->asked, 1);
}

TEST(Verifier, ASourceMayVerifyByItself) {
  Chain chain;
  chain.first->verifies = true;
  chain.first->knows("joe", "never looked at");
  EXPECT_EQ(chain.ask("joe", "whatever").route.pool, "one");
  chain.first->refuses = true;
  const Decision refused = chain.ask("joe", "x");
  EXPECT_EQ(refused.result, POSTERN_REJECT);
  EXPECT_EQ(refused.reason, POSTERN_REASON_DISABLED);
  EXPECT_EQ(refused.text, "Go");
  EXPECT_EQ(refused.code, "X");
  EXPECT_EQ(refused.delay, Duration(7));
}

TEST(Verifier, TokensGoToThoseWhoTakeThem) {
  Chain chain;
  chain.first->knows("joe");
  chain.second->verifies = true;
  chain.second->knows("joe");
  chain.make();
  postern_question question = chain.question("joe", nullptr);
  question.token = postern_text("abc");
  EXPECT_EQ(chain.verifier->verify(question).route.pool, "two");
  EXPECT_EQ(chain.first->asked, 0);
  question.token = postern_text("");
  EXPECT_EQ(chain.verifier->verify(question).result, POSTERN_REJECT);
}

// The source that knew the user hears of the better hash, and only after a login that succeeds.
TEST(Verifier, OffersABetterHashAfterALogin) {
  Chain chain;
  chain.first->knows("ann");
  chain.second->knows("joe");
  chain.make({}, true);
  EXPECT_EQ(chain.ask("joe", "wrong").result, POSTERN_REJECT);
  std::vector<Step> steps;
  EXPECT_EQ(chain.verifier->verify(chain.question("joe", "right"), &steps).result, POSTERN_OK);
  EXPECT_TRUE(chain.second->upgraded.empty()) << "nobody has logged in";
  EXPECT_EQ(chain.ask("JOE", "right").result, POSTERN_OK);
  EXPECT_EQ(chain.second->upgraded, std::vector<std::string>{"joe {PLAIN}right {BLF-CRYPT}"});
  EXPECT_TRUE(chain.first->upgraded.empty());
  Chain untouched;
  untouched.first->knows("joe");
  EXPECT_EQ(untouched.ask("joe", "right").result, POSTERN_OK);
  EXPECT_TRUE(untouched.first->upgraded.empty());
}

TEST(Verifier, AnEmptyPasswordAsksNobody) {
  Chain chain;
  chain.first->knows("joe");
  EXPECT_EQ(chain.ask("joe", "").result, POSTERN_REJECT);
  EXPECT_EQ(chain.ask("joe", nullptr).result, POSTERN_UNAVAILABLE);
  EXPECT_EQ(chain.first->asked, 0);
}

// Application passwords: each with what it may be used for.
TEST(Verifier, SeveralPasswordsOfOneUser) {
  Chain chain;
  const auto add = [&](const char* password, std::initializer_list<std::pair<const char*, const char*>> attributes) {
    chain.first->known.emplace("joe", [=, all = std::vector(attributes)] {
      Entry entry = entry_with(password);
      for (const auto& [name, value] : all)
        EXPECT_TRUE(set_attribute(entry.route, name, value).ok());
      return entry;
    });
  };
  add("phone", {{"allow_protocols", "imap"}});
  add("printer", {{"allow_protocols", "submission"}, {"text", "Only for the printer"}});
  add("office", {{"allow_nets", "10.0.0.0/8"}});
  add("old", {{"expires", "2020-01-01"}});
  add("young", {{"expires", "4000000000"}});
  EXPECT_EQ(chain.ask("joe", "phone").result, POSTERN_OK);
  const Decision printer = chain.ask("joe", "printer");
  EXPECT_EQ(printer.result, POSTERN_REJECT);
  EXPECT_EQ(printer.reason, POSTERN_REASON_NOT_ALLOWED);
  EXPECT_EQ(printer.text, "Only for the printer");
  const Decision office = chain.ask("joe", "office");
  EXPECT_EQ(office.result, POSTERN_OK);
  EXPECT_TRUE(office.vary_client);
  postern_question outside = chain.question("joe", "office");
  outside.client = postern_text("192.0.2.1:1");
  EXPECT_EQ(chain.verifier->verify(outside).reason, POSTERN_REASON_NOT_ALLOWED);
  const Decision old = chain.ask("joe", "old");
  EXPECT_EQ(old.reason, POSTERN_REASON_CREDENTIALS);
  EXPECT_EQ(chain.ask("joe", "young").result, POSTERN_OK);
  EXPECT_EQ(chain.ask("joe", "none").reason, POSTERN_REASON_CREDENTIALS);
}

// What is forbidden to the user, no password of his allows.
TEST(Verifier, LimitsOfAPasswordAddToThoseOfItsUser) {
  Chain chain;
  const auto add = [&](const char* password, const char* label, std::pair<const char*, const char*> limit) {
    chain.first->known.emplace("joe", [=] {
      Entry entry = entry_with(password);
      entry.label = label;
      EXPECT_TRUE(set_attribute(entry.route, "allow_protocols", "imap,pop3").ok());
      EXPECT_TRUE(set_attribute(entry.limits, limit.first, limit.second).ok());
      return entry;
    });
  };
  add("phone", "phone", {"allow_protocols", "imap,submission"});
  add("printer", "printer", {"allow_protocols", "submission"});
  add("office", "office", {"allow_nets", "10.0.0.0/8"});
  add("old", "old", {"expires", "2020-01-01"});
  const auto ask_by = [&](const char* password, const char* protocol, const char* client) {
    postern_question question = chain.question("joe", password);
    question.protocol = postern_text(protocol);
    question.client = postern_text(client);
    return chain.verifier->verify(question);
  };
  EXPECT_EQ(chain.ask("joe", "phone").label, "phone");
  EXPECT_EQ(ask_by("phone", "imap", "192.0.2.1:1").result, POSTERN_OK);
  EXPECT_EQ(ask_by("phone", "submission", "192.0.2.1:1").reason, POSTERN_REASON_NOT_ALLOWED);
  EXPECT_EQ(ask_by("phone", "pop3", "192.0.2.1:1").reason, POSTERN_REASON_NOT_ALLOWED);
  EXPECT_EQ(ask_by("printer", "submission", "192.0.2.1:1").reason, POSTERN_REASON_NOT_ALLOWED);
  EXPECT_EQ(ask_by("printer", "imap", "192.0.2.1:1").reason, POSTERN_REASON_NOT_ALLOWED);
  const Decision inside = ask_by("office", "imap", "10.1.2.3:1");
  EXPECT_EQ(inside.result, POSTERN_OK);
  EXPECT_TRUE(inside.vary_client);
  const Decision outside = ask_by("office", "imap", "192.0.2.1:1");
  EXPECT_EQ(outside.reason, POSTERN_REASON_NOT_ALLOWED);
  EXPECT_TRUE(outside.vary_client);
  EXPECT_EQ(outside.label, "office");
  EXPECT_EQ(ask_by("old", "imap", "10.1.2.3:1").reason, POSTERN_REASON_CREDENTIALS);
  EXPECT_EQ(chain.ask("joe", "none").label, "");
}

TEST(Verifier, TheRouteMayBeAnothersBusiness) {
  Chain chain;
  chain.first->names_pool = false;
  chain.first->knows("joe");
  chain.first->set_rules(rules_with([](SourceRules& rules) { rules.defaults.ttl_s = 60; }));
  chain.second->set_rules(rules_with([](SourceRules& rules) { rules.only_route = true; }));
  chain.second->knows("joe", "another one");
  const Decision decision = chain.ask("joe", "right");
  EXPECT_EQ(decision.route.pool, "two");
  EXPECT_EQ(decision.route.ttl_s, 60u);
  EXPECT_EQ(decision.source, "one");
  EXPECT_EQ(chain.ask("joe", "another one").result, POSTERN_REJECT);
  chain.second->fails = true;
  EXPECT_EQ(chain.ask("joe", "right").result, POSTERN_UNAVAILABLE);
  EXPECT_EQ(chain.ask("joe", "wrong").result, POSTERN_REJECT) << "it is not asked";
}

TEST(Verifier, MastersLogInForOthers) {
  Chain chain;
  chain.first->known.emplace("boss", [] { return entry_with("right", {{"master", "yes"}}); });
  chain.first->knows("joe", "secret");
  chain.second->knows("{user}", "secret");
  chain.make();
  const auto ask = [&](const char* user, const char* authzid) {
    postern_question question = chain.question(user, "right");
    question.authzid = postern_text(authzid);
    return chain.verifier->verify(question);
  };
  const Decision decision = ask("boss", "Joe");
  EXPECT_EQ(decision.result, POSTERN_OK);
  EXPECT_EQ(decision.route.user, "joe");
  EXPECT_EQ(decision.route.master_user, "boss");
  EXPECT_EQ(decision.route.master_password.reveal(), "right");
  EXPECT_EQ(ask("boss", "nobody").reason, POSTERN_REASON_NOT_ALLOWED);
  EXPECT_EQ(ask("boss", "boss").route.user, "");
  // A name is a name, even if it looks like a pattern.
  EXPECT_EQ(ask("boss", "{user}").route.user, "{user}");
  postern_question question = chain.question("joe", "secret");
  question.authzid = postern_text("boss");
  EXPECT_EQ(chain.verifier->verify(question).reason, POSTERN_REASON_NOT_ALLOWED);
}

TEST(Verifier, AliasesAndDomains) {
  Chain chain;
  chain.first->knows("joe@example.test");
  chain.make({.default_domain = "example.test", .allowed_characters = {}, .aliases = {{"boss", "joe"}}});
  EXPECT_EQ(chain.ask("boss", "right").route.user, "joe@example.test");
  EXPECT_EQ(chain.ask("joe@example.test", "right").route.user, "");
}

// The same work for a user whom nobody knows, for a locked password, and where a source refuses by itself.
TEST(Verifier, KeysAreOnlyForThoseWhoHaveThem) {
  Chain chain;
  chain.first->verifies = true;
  chain.first->knows("joe");
  chain.second->knows("joe");
  chain.make();
  postern_question question = chain.question("joe", nullptr);
  EXPECT_EQ(chain.verifier->keys(question).result, POSTERN_REJECT);
  EXPECT_EQ(chain.first->asked, 0);
  EXPECT_EQ(chain.second->asked, 1);
}

TEST(Verifier, StepsTellTheStory) {
  Chain chain;
  chain.second->knows("joe");
  chain.make();
  std::vector<Step> steps;
  chain.verifier->verify(chain.question("joe", "right"), &steps);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].source, "one");
  EXPECT_EQ(steps[0].what, "unknown user");
  EXPECT_EQ(steps[1].what, "yes");
  steps.clear();
  EXPECT_EQ(chain.verifier->route(chain.question("joe", nullptr), &steps).route.pool, "two");
  EXPECT_EQ(steps.size(), 2u);
}

// One that hangs keeps its own questions waiting, and only so many.
TEST(Turnstile, BoundsWhatWaits) {
  Turnstile turnstile;
  turnstile.set_options({.connections = 2, .timeout = Duration(50), .retry_after = Duration(0)});
  EXPECT_STREQ(turnstile.enter(), "");
  EXPECT_STREQ(turnstile.enter(), "");
  std::atomic<int> busy = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 10; ++i)
    threads.emplace_back([&] { busy += *turnstile.enter() != '\0' ? 1 : 0; });
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(busy, 10);
  EXPECT_EQ(turnstile.figures().turned_away, 10u);
  turnstile.done(Turnstile::Result::Found, Duration(3));
  EXPECT_STREQ(turnstile.enter(), "");
  EXPECT_EQ(turnstile.figures().by_result[0], 1u);
  EXPECT_EQ(turnstile.figures().by_time[2], 1u) << "within 5 ms";
}

TEST(Turnstile, TurnsNobodyAwayWhileItAnswers) {
  Turnstile turnstile;
  turnstile.set_options({.connections = 2, .timeout = std::chrono::seconds(60), .retry_after = Duration(0)});
  std::atomic<int> busy = 0;
  std::vector<std::thread> threads;
  turnstile.enter();
  turnstile.done(Turnstile::Result::Found, Duration(1));
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&] {
      if (*turnstile.enter() != '\0') return void(++busy);
      turnstile.done(Turnstile::Result::Found, Duration(1));
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(busy, 0);
}

TEST(Turnstile, LooksNowAndThenWhetherASlowSourceIsBack) {
  Turnstile turnstile;
  turnstile.set_options({.connections = 2, .timeout = Duration(100), .retry_after = std::chrono::hours(1)});
  EXPECT_STREQ(turnstile.enter(), "");
  turnstile.done(Turnstile::Result::Failed, Duration(1));
  EXPECT_STREQ(turnstile.enter(), "") << "a failure at once is cheap";
  turnstile.done(Turnstile::Result::Failed, Duration(100));
  EXPECT_STRNE(turnstile.enter(), "");
  Turnstile patient;
  patient.set_options({.connections = 2, .timeout = Duration(100), .retry_after = Duration(0)});
  EXPECT_STREQ(patient.enter(), "");
  patient.done(Turnstile::Result::Failed, Duration(100));
  EXPECT_STREQ(patient.enter(), "") << "the one that looks";
  patient.done(Turnstile::Result::Unknown, Duration(100));
  EXPECT_STREQ(patient.enter(), "");
}

}  // namespace
}  // namespace postern::helper
