// SPDX-License-Identifier: GPL-3.0-or-later
#include "auth/cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "desk_room.h"

namespace postern::auth {
namespace {

class CacheTest : public testing::Test {
 protected:
  static CacheOptions options_of(uint32_t entries, uint32_t reject_entries) {
    CacheOptions options;
    options.entries = entries;
    options.reject_entries = reject_entries;
    options.ttl = 60s;
    options.reject_ttl = 30s;
    options.stale = 1h;
    return options;
  }

  std::string fresh(const Question& question) { return words(cache.fresh(cache.keys(question), now)); }
  std::string stale(const Question& question) { return words(cache.stale(cache.keys(question), now)); }
  // An answer to a question that was put just now.
  void keep(const Question& question, std::string_view line) { keep(question, line, cache.epoch()); }
  void keep(const Question& question, std::string_view line, uint64_t asked) { keep(cache, question, line, asked); }
  void keep(Cache& where, const Question& question, std::string_view line, uint64_t asked) {
    Form form;
    ASSERT_EQ(form.read(line), FormFault::None);
    const Answer answer = read_answer(form, {});
    ASSERT_EQ(answer.fault, "");
    where.keep(where.keys(question), answer.verdict, answer.keeping, asked, now);
  }

  Question joe(std::string_view password = "secret", std::string_view client = "203.0.113.7:4711") {
    return question_of("joe", password, client);
  }

  Instant now = Instant{} + 1000h;
  Cache cache{options_of(3, 2), fake_hash};
};

constexpr const char* unknown = "(later)";

TEST_F(CacheTest, RemembersForItsTime) {
  EXPECT_EQ(fresh(joe()), unknown);
  keep(joe(), "result=ok&user=j4711&password=x&back=127.0.1.1:143&vary=");
  const std::string verdict = "result=ok&user=j4711&password=x&back=127.0.1.1%3A143";
  EXPECT_EQ(fresh(joe()), verdict);
  now += 59999ms;
  EXPECT_EQ(fresh(joe()), verdict);
  EXPECT_EQ(stale(joe()), verdict);
  now += 1ms;
  EXPECT_EQ(fresh(joe()), unknown);
  EXPECT_EQ(stale(joe()), verdict);
  now += 1h - 1ms;
  EXPECT_EQ(stale(joe()), verdict);
  now += 1ms;
  EXPECT_EQ(stale(joe()), unknown);
  const Cache::Report report = cache.report();
  EXPECT_EQ(report.hits, 2u);
  EXPECT_EQ(report.misses, 2u);
  EXPECT_EQ(report.stale, 3u);
  EXPECT_EQ(report.entries, 1u);
}

TEST_F(CacheTest, HonoursTheAnswersOwnTime) {
  keep(joe(), "result=ok&ttl=2");
  now += 1999ms;
  EXPECT_EQ(fresh(joe()), "result=ok");
  now += 1ms;
  EXPECT_EQ(fresh(joe()), unknown);
  keep(joe(), "result=ok&ttl=3600");
  now += 3599s;
  EXPECT_EQ(fresh(joe()), "result=ok");
}

// Each thing that the helper is told may change what it says, and so is part of the key: no two of these are the same
// question. The session's name and the port of the mail program are not.
TEST_F(CacheTest, KeysByEverythingThatTheHelperIsTold) {
  Cache roomy(options_of(100, 100), fake_hash);
  keep(roomy, joe(), ok_line, 0);
  const std::pair<const char*, void (*)(Question&)> changes[] = {
      {"protocol", [](Question& q) { q.protocol = "pop3"; }},
      {"mechanism", [](Question& q) { q.mechanism = "PLAIN"; }},
      {"user", [](Question& q) { q.user = "Joe"; }},
      {"authzid", [](Question& q) { q.authzid = "ann"; }},
      {"password", [](Question& q) { q.password = Secret("Secret"); }},
      {"no password", [](Question& q) { q.password = Secret(); }},
      {"local address", [](Question& q) { q.local = *Endpoint::parse("192.0.2.2:993"); }},
      {"local port", [](Question& q) { q.local.port = 994; }},
      {"listener", [](Question& q) { q.listener = "imap-143"; }},
      {"tls", [](Question& q) { q.tls = ""; }},
      {"sni", [](Question& q) { q.sni = ""; }},
      {"moved between fields",
       [](Question& q) {
         q.user = "jo";
         q.authzid = "e";
       }},
      {"moved to the neighbour",
       [](Question& q) {
         q.tls = "TLSv1.3m";
         q.sni = "ail.example.test";
       }},
  };
  for (const auto& [what, change] : changes) {
    Question other = joe();
    change(other);
    EXPECT_EQ(words(roomy.fresh(roomy.keys(other), now)), unknown) << what;
  }
  Question same = joe("secret", "198.51.100.1:1");
  same.session_id = "other";
  EXPECT_EQ(words(roomy.fresh(roomy.keys(same), now)), ok_line);
}

TEST_F(CacheTest, KeepsWhatVariesByClientApart) {
  keep(joe(), "result=ok&back=127.0.1.1:143&vary=client");
  EXPECT_EQ(fresh(joe()), ok_line);
  EXPECT_EQ(fresh(joe("secret", "203.0.113.7:9")), ok_line);  // another port is no other place
  EXPECT_EQ(fresh(joe("secret", "203.0.113.8:4711")), unknown);
  EXPECT_EQ(fresh(joe("secret", "[2001:db8::7]:4711")), unknown);
  keep(joe("secret", "203.0.113.8:1"), "result=reject&reason=not_allowed&vary=client");
  EXPECT_EQ(fresh(joe("secret", "203.0.113.8:1")), "result=reject&reason=not_allowed");
  EXPECT_EQ(fresh(joe()), ok_line);
  keep(joe("secret", "203.0.113.9:1"), "result=ok&user=nine&vary=client");
  EXPECT_EQ(fresh(joe("secret", "203.0.113.9:2")), "result=ok&user=nine");
  EXPECT_EQ(fresh(joe()), ok_line);
}

// An answer that no longer varies holds for all; nothing of the earlier one's address is left for the asker.
TEST_F(CacheTest, FollowsAHelperThatChangesItsMindOnVarying) {
  keep(joe(), "result=ok&user=one&vary=client");
  keep(joe(), "result=ok&user=all");
  EXPECT_EQ(fresh(joe("secret", "198.51.100.1:1")), "result=ok&user=all");
  EXPECT_EQ(fresh(joe()), "result=ok&user=all");
  keep(joe("secret", "198.51.100.1:1"), "result=ok&user=two&vary=client");
  EXPECT_EQ(fresh(joe()), unknown);
  EXPECT_EQ(fresh(joe("secret", "198.51.100.1:1")), "result=ok&user=two");
}

TEST_F(CacheTest, DoesNotKeepWhatItMustNot) {
  for (const char* line : {"result=ok&cache=no", "result=ok&ttl=0", "result=ok&vary=time", "result=reject&cache=no",
                           "result=reject&ttl=0", "result=unavailable"}) {
    keep(joe(), line);
    EXPECT_EQ(fresh(joe()), unknown) << line;
    EXPECT_EQ(stale(joe()), unknown) << line;
  }
  EXPECT_EQ(cache.report().entries + cache.report().reject_entries, 0u);
}

// A newer verdict ends the older one even if it may not be kept itself: a user who was turned away does not get in
// stale.
TEST_F(CacheTest, DropsWhatANewerAnswerContradicts) {
  for (const char* line : {"result=reject", "result=reject&cache=no", "result=reject&ttl=0", "result=ok&cache=no",
                           "result=reject&vary=client", "result=ok&ttl=0&vary=client"}) {
    for (const char* before : {"result=ok&user=before", "result=ok&user=before&vary=client"}) {
      keep(joe(), before);
      keep(joe(), line);
      EXPECT_EQ(stale(joe()), unknown) << before << " then " << line;
      EXPECT_NE(fresh(joe()), "result=ok&user=before") << before << " then " << line;
    }
  }
  Cache no_rejects(options_of(10, 0), fake_hash);
  keep(no_rejects, joe(), ok_line, 0);
  keep(no_rejects, joe(), reject_line, 0);
  EXPECT_EQ(words(no_rejects.stale(no_rejects.keys(joe()), now)), unknown);
}

// "I do not know" says nothing of the user.
TEST_F(CacheTest, KeepsItsVerdictWhenTheHelperDoesNotKnow) {
  keep(joe(), ok_line);
  keep(joe(), "result=unavailable");
  EXPECT_EQ(fresh(joe()), ok_line);
}

// A refusal may be repeated for three seconds, whatever its ttl; then the helper is asked again.
TEST_F(CacheTest, RepeatsARefusalOnlyForSeconds) {
  for (const char* line : {"result=reject", "result=reject&ttl=600"}) {
    keep(joe(), line);
    now += 2999ms;
    EXPECT_EQ(fresh(joe()), reject_line);
    now += 1ms;
    EXPECT_EQ(fresh(joe()), unknown);
    EXPECT_EQ(stale(joe()), unknown);  // nor is it ever stale: a failure of the helper is no mismatch
  }
  keep(joe(), "result=reject&ttl=1");
  now += 1s;
  EXPECT_EQ(fresh(joe()), unknown);
  EXPECT_EQ(cache.report().reject_hits, 2u);
}

TEST_F(CacheTest, AcceptsAfterARefusal) {
  keep(joe(), reject_line);
  keep(joe(), ok_line);
  EXPECT_EQ(fresh(joe()), ok_line);
  EXPECT_EQ(cache.report().reject_entries, 0u);
}

TEST_F(CacheTest, LetsTheLeastRecentlyUsedGo) {
  for (const char* user : {"ann", "bob", "cid"})
    keep(question_of(user, "x"), ok_line);
  EXPECT_EQ(fresh(question_of("ann", "x")), ok_line);
  keep(question_of("dan", "x"), ok_line);
  EXPECT_EQ(fresh(question_of("bob", "x")), unknown);
  EXPECT_EQ(fresh(question_of("ann", "x")), ok_line);
  EXPECT_EQ(cache.report().evictions, 1u);
  EXPECT_EQ(cache.report().entries, 3u);
}

// Guesses have a space of their own, marks included: ten thousand of them leave the good entries where they are.
TEST_F(CacheTest, IsNotEmptiedByGuessing) {
  keep(joe(), "result=ok&back=127.0.1.1:143&vary=client");
  keep(question_of("ann", "x"), ok_line);
  for (int i = 0; i < 10000; ++i) {
    keep(joe("guess " + std::to_string(i)), i % 2 == 0 ? "result=reject" : "result=reject&vary=client");
    // The right password from an address that is not allowed: its mark must stay among the accepted.
    if (i % 100 == 0) keep(joe("secret", "198.51.100.1:1"), "result=reject&reason=not_allowed&vary=client");
  }
  EXPECT_EQ(fresh(joe()), ok_line);
  EXPECT_EQ(fresh(question_of("ann", "x")), ok_line);
  EXPECT_LE(cache.report().reject_entries, 2u);
}

TEST_F(CacheTest, OfSizeZeroKeepsNothing) {
  Cache off(options_of(0, 0), fake_hash);
  keep(off, joe(), ok_line, 0);
  keep(off, question_of("ann", "x"), reject_line, 0);
  EXPECT_EQ(words(off.fresh(off.keys(joe()), now)), unknown);
  EXPECT_EQ(off.report().entries + off.report().reject_entries, 0u);
}

TEST_F(CacheTest, KeepsItsBoundWithManyStripes) {
  Cache large(options_of(3200, 160), fake_hash);
  for (int i = 0; i < 20000; ++i) {
    keep(large, question_of("user " + std::to_string(i), "x"), ok_line, 0);
    keep(large, question_of("user " + std::to_string(i), "y"), reject_line, 0);
  }
  EXPECT_EQ(large.report().entries, 3200u);
  EXPECT_EQ(large.report().reject_entries, 160u);
  EXPECT_EQ(large.report().evictions, 40000u - 3360u);
}

// By the name of the mail program, by the mailbox it asked for, and by the name that the helper answered; in any case.
TEST_F(CacheTest, InvalidatesByEachName) {
  Question master = question_of("Admin@Example.test", "x");
  master.authzid = "joe";
  for (const char* name : {"Admin@Example.test", "admin@example.test", "JOE", "j4711", "*"}) {
    keep(master, "result=ok&user=j4711");
    keep(question_of("ann", "x"), ok_line);
    EXPECT_EQ(fresh(master), "result=ok&user=j4711");
    cache.invalidate(name);
    EXPECT_EQ(fresh(master), unknown) << name;
    EXPECT_EQ(stale(master), unknown) << name;
    EXPECT_EQ(fresh(question_of("ann", "x")), std::string_view(name) == "*" ? unknown : ok_line);
  }
  EXPECT_EQ(cache.report().invalidated, 6u);
  keep(master, "result=reject&reason=disabled");
  cache.invalidate("joe");
  EXPECT_EQ(fresh(master), unknown);
  cache.invalidate("");
  cache.invalidate("nobody");
}

TEST_F(CacheTest, InvalidatesWhatVaries) {
  keep(joe(), "result=ok&vary=client");
  cache.invalidate("joe");
  EXPECT_EQ(fresh(joe()), unknown);
  keep(joe(), "result=ok&vary=client");
  EXPECT_EQ(fresh(joe()), "result=ok");
}

// The helper looked joe up, joe's password changed, the helper said so, and only then its first answer arrived.
TEST_F(CacheTest, DoesNotKeepAnAnswerOlderThanAnInvalidation) {
  const uint64_t asked = cache.epoch();
  keep(joe(), "result=ok&user=newer");
  cache.invalidate("ann");
  EXPECT_FALSE(cache.invalidated_since(asked, cache.keys(joe())));
  cache.invalidate("j4711");
  EXPECT_FALSE(cache.invalidated_since(asked, cache.keys(joe())));
  EXPECT_TRUE(cache.invalidated_since(asked, cache.keys(question_of("ann", "x"))));
  keep(joe(), "result=ok&user=j4711", asked);
  EXPECT_EQ(fresh(joe()), "result=ok&user=newer");  // an old answer does not end a newer one either
  keep(joe(), "result=ok&user=other", asked);
  EXPECT_EQ(fresh(joe()), "result=ok&user=other");
  cache.invalidate("*");
  EXPECT_TRUE(cache.invalidated_since(asked, cache.keys(joe())));
  keep(joe(), ok_line, asked);
  EXPECT_EQ(fresh(joe()), unknown);
  keep(joe(), ok_line, cache.epoch());
  EXPECT_EQ(fresh(joe()), ok_line);
}

// Names of invalidations are remembered for a while only; what is older counts as invalidated.
TEST_F(CacheTest, DoubtsAnswersOlderThanItsMemory) {
  const uint64_t asked = cache.epoch();
  for (int i = 0; i < 64; ++i)
    cache.invalidate("user " + std::to_string(i));
  EXPECT_FALSE(cache.invalidated_since(asked, cache.keys(joe())));
  cache.invalidate("one more");
  EXPECT_TRUE(cache.invalidated_since(asked, cache.keys(joe())));
}

// Several reactors look up, store and invalidate at once. Whatever the order, a verdict is never another user's, and
// after the last invalidation nothing is left of the user.
TEST(CacheThreads, ShareOneCache) {
  CacheOptions options;
  options.entries = 2000;
  options.reject_entries = 100;
  Cache cache(options, fake_hash);
  const Instant now = Instant{} + 1h;
  std::atomic<uint64_t> wrong{0};
  const auto reactor = [&](uint32_t seed) {
    for (uint32_t i = 0; i < 20000; ++i) {
      seed = seed * 1664525 + 1013904223;
      const std::string user = "user" + std::to_string((seed >> 8) % 3000);
      const CacheKeys keys = cache.keys(question_of(user, seed % 4 == 0 ? "wrong" : "right"));
      const uint64_t asked = cache.epoch();
      const std::optional<Verdict> verdict = cache.fresh(keys, now);
      if (const Accept* accept = verdict ? std::get_if<Accept>(&*verdict) : nullptr) {
        if (accept->route.user != user || accept->route.password != Secret(user)) ++wrong;
      } else if (seed % 4 == 0) {
        cache.keep(keys, Reject{}, Keeping{.vary_client = seed % 3 == 0}, asked, now);
      } else {
        Accept fresh_accept;
        fresh_accept.route.user = user;
        fresh_accept.route.password = Secret(user);
        cache.keep(keys, std::move(fresh_accept), Keeping{.vary_client = seed % 5 == 0}, asked, now);
      }
      if (i % 100 == 0) cache.invalidate(i % 10000 == 0 ? "*" : user);
      if (i % 1000 == 0) static_cast<void>(cache.report());
    }
  };
  {
    std::vector<std::jthread> reactors;
    for (uint32_t seed = 1; seed <= 3; ++seed)
      reactors.emplace_back(reactor, seed);
  }
  EXPECT_EQ(wrong, 0u);
  const Cache::Report report = cache.report();
  EXPECT_EQ(report.hits + report.misses, 60000u);
  EXPECT_GT(report.hits, 0u);
  EXPECT_LE(report.entries, 2000u);
  EXPECT_LE(report.reject_entries, 112u);  // 16 stripes, rounded up
  cache.invalidate("*");
  EXPECT_EQ(cache.report().entries + cache.report().reject_entries, 0u);
}

}  // namespace
}  // namespace postern::auth
