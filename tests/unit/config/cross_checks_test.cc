// SPDX-License-Identifier: GPL-3.0-or-later
// What is said when each setting is right and they do not go together, to the letter.
#include <gtest/gtest.h>

#include "tests/unit/config/sentences.h"

namespace postern::config {
namespace {

#define LISTENER "[[listen]]\naddresses = [\"127.0.0.1:1143\"]\ntls = \"none\"\nlogin_without_tls = true\n"
#define POOL "[[pool]]\nname = \"default\"\nmembers = [\"127.0.0.1:143\"]\n"

TEST(CrossChecks, PassWhatGoesTogether) {
  EXPECT_EQ(sentences(LISTENER), "");
  EXPECT_EQ(sentences(LISTENER POOL "[auth]\nmode = \"back\"\n"), "");
  EXPECT_EQ(sentences(LISTENER "pool = \"default\"\n" POOL), "");
}

TEST(CrossChecks, PoolsMustBeDefined) {
  EXPECT_EQ(
      sentences(LISTENER "pool = \"eu\"\n" POOL),
      "f:5: Listener \"imap-1143\" names the pool \"eu\", which is not defined. Add a [[pool]] of that name and its "
      "members.\n");
  EXPECT_EQ(
      sentences(LISTENER "pool = \"defualt\"\n" POOL),
      "f:5: Listener \"imap-1143\" names the pool \"defualt\", which is not defined; did you mean \"default\"?\n");
  EXPECT_EQ(sentences(LISTENER "[auth]\nmode = \"back\"\n"),
            "f:1: Listener \"imap-1143\" names the pool \"default\", which is not defined. Add a [[pool]] of that name "
            "and its "
            "members.\n");
  // A pool without a name is the fault, not the listener that means it.
  EXPECT_EQ(sentences(LISTENER "pool = \"eu\"\n[[pool]]\nmembers = [\"127.0.0.1:143\"]\n"),
            "f:6: [[pool]] lacks \"name\". Write, for example: name = \"default\"\n");
}

// A helper may name everybody's mail server: then the default pool has nothing but its name.
TEST(CrossChecks, ThePoolThatAHelperMakesNeedlessIsThereWithoutMembers) {
  const LoadResult result = load_text(LISTENER "[[pool]]\nname = \"eu\"\nmembers = [\"127.0.0.1:143\"]\n", "f");
  ASSERT_TRUE(result.config.has_value());
  ASSERT_EQ(result.config->session.pools.size(), 2u);
  EXPECT_EQ(result.config->session.pools[1].name, "default");
  EXPECT_TRUE(result.config->session.pools[1].members.empty());
  const LoadResult named = load_text(LISTENER POOL, "f");
  ASSERT_TRUE(named.config.has_value());
  EXPECT_EQ(named.config->session.pools.size(), 1u);
}

TEST(CrossChecks, NamesAndAddressesStandOnce) {
  EXPECT_EQ(sentences(LISTENER LISTENER),
            "f:5: Two listeners are named \"imap-1143\", here and on line 1. Set a name of its own for this one, such "
            "as name "
            "= \"imap-1143-b\"\n"
            "f:6: The address 127.0.0.1:1143 is listened on already, from line 2. Take one of them out.\n");
  EXPECT_EQ(sentences("[[listen]]\naddresses = [\n  \"127.0.0.1:1143\",\n  \"[::1]:1143\",\n  \"127.0.0.1:1143\",\n]\n"
                      "tls = \"none\"\nlogin_without_tls = true\n"),
            "f:5: The address 127.0.0.1:1143 is listened on already, from line 3. Take one of them out.\n");
  EXPECT_EQ(sentences(LISTENER POOL POOL),
            "f:9: Two pools are named \"default\", here and on line 6. Give one of them another name, or put all "
            "members into "
            "one.\n");
  EXPECT_EQ(sentences(LISTENER "[[pool]]\nname = \"default\"\nmembers = [\"127.0.0.1:143\", \"127.0.0.1:143\"]\n"),
            "f:7: Pool \"default\" has the member 127.0.0.1:143 twice. Take one of them out.\n");
}

TEST(CrossChecks, TlsNeedsACertificate) {
  EXPECT_EQ(sentences("[[listen]]\naddresses = [\"127.0.0.1:993\"]\n"),
            "f:1: Listener \"imap-993\" wants TLS, and there is no [[tls.certificate]]. Add one with its chain and "
            "key, or set folders in [tls], or set tls = \"none\".\n");
  EXPECT_EQ(sentences("[[listen]]\naddresses = [\"127.0.0.1:143\"]\ntls = \"starttls\"\n"),
            "f:3: Listener \"imap-143\" wants TLS, and there is no [[tls.certificate]]. Add one with its chain and "
            "key, or set folders in [tls], or set tls = \"none\".\n");
  // A certificate that is there and wrong is one problem, not two.
  EXPECT_EQ(sentences("[[listen]]\naddresses = [\"127.0.0.1:993\"]\n[[tls.certificate]]\nchain = \"/x\"\n"),
            "f:3: [[tls.certificate]] lacks \"key\". Write, for example: key = \"/etc/postern/tls/mail.key\"\n");
}

TEST(CrossChecks, SomebodyMustBeAbleToLogIn) {
  EXPECT_EQ(sentences("[[listen]]\naddresses = [\"127.0.0.1:143\"]\ntls = \"none\"\n"),
            "f:3: Listener \"imap-143\" has no TLS and takes no password without it: nobody could log in. Set tls = "
            "\"implicit\", or login_without_tls = true where the network is trusted.\n");
  // The load balancer may say that it has ended TLS.
  EXPECT_EQ(sentences("[[listen]]\naddresses = [\"127.0.0.1:143\"]\ntls = \"none\"\nproxy_protocol = true\n"
                      "trusted = [\"10.0.0.0/8\"]\n"),
            "");
}

TEST(CrossChecks, WebmailCountsWhereAnAddressCanBeNamed) {
  const auto of = [](const std::string& protocol) {
    return sentences("[[listen]]\nprotocol = \"" + protocol +
                     "\"\naddresses = [\"127.0.0.1:1143\"]\ntls = \"none\"\n"
                     "login_without_tls = true\nwebmail = [\"10.0.0.0/8\"]\n");
  };
  for (const char* protocol : {"imap", "pop3", "submission"})
    EXPECT_EQ(of(protocol), "") << protocol;
  EXPECT_EQ(of("sieve"),
            "warning: f:6: Listener \"sieve-1143\" speaks sieve, in which nobody can name an address: webmail changes "
            "nothing. Take it out.\n");
}

TEST(CrossChecks, WarnOfPasswordsInClear) {
  const auto of = [](const std::string& address) {
    return sentences("[[listen]]\naddresses = [\"127.0.0.1:143\", \"" + address +
                     "\"]\ntls = \"none\"\nlogin_without_tls = true\n");
  };
  for (const std::string address :
       {"0.0.0.0:143", "[::]:143", "192.0.2.1:143", "172.32.0.1:143", "[2001:db8::1]:143"}) {
    EXPECT_EQ(of(address),
              "warning: f:4: Listener \"imap-143\" takes passwords in clear on " + address +
                  ", which strangers may reach. Set login_without_tls = false, or listen on a private address.\n");
  }
  for (const char* address : {"127.0.0.2:143", "10.1.2.3:143", "172.31.0.1:143", "192.168.0.1:143", "169.254.0.1:143",
                              "[::1]:143", "[fd00::1]:143", "[fe80::1]:143"}) {
    EXPECT_EQ(of(address), "");
  }
  EXPECT_EQ(sentences(LISTENER "[[pool]]\nname = \"default\"\nmembers = [\"10.0.0.1:143\", \"192.0.2.1:143\"]\n"),
            "warning: f:5: Pool \"default\" sends passwords in clear to 192.0.2.1:143, which is no private address. "
            "Set tls = "
            "\"implicit\" or \"starttls\".\n");
}

TEST(CrossChecks, ProxyHeadersNeedTrust) {
  EXPECT_EQ(
      sentences(LISTENER "proxy_protocol = true\n"),
      "f:5: Listener \"imap-1143\" expects PROXY headers and trusts nobody to send them. Name the load balancers, for "
      "example: trusted = [\"10.0.0.0/8\"]\n");
  EXPECT_EQ(sentences(LISTENER "trusted = [\"10.0.0.0/8\"]\n"),
            "warning: f:5: Listener \"imap-1143\" has proxy_protocol = false, where trusted changes nothing. Set "
            "proxy_protocol = true, or take it out.\n");
  EXPECT_EQ(
      sentences(LISTENER "proxy_protocol = true\ntrusted = [\"10.0.0.0/8\", \"::/0\"]\n"),
      "warning: f:6: Listener \"imap-1143\" lets everybody claim any address by a PROXY header. Name only the load "
      "balancers.\n");
}

// Without a name no certificate can be verified; only a helper's routes may bring one.
TEST(CrossChecks, WantANameForTlsToTheMailServers) {
  const std::string text =
      "f:8: Pool \"default\" speaks TLS and has no tls_name, without which no certificate can be verified";
  EXPECT_EQ(sentences(LISTENER POOL "tls = \"implicit\"\n[auth]\nmode = \"back\"\n"),
            text + ". Add tls_name, the name in the members' certificates.\n");
  EXPECT_EQ(sentences(LISTENER POOL "tls = \"implicit\"\n"),
            "warning: " + text + ": only users whose route brings a tls_name can log in. Add tls_name.\n");
  // A pool in clear with a CA serves the users whose route asks for TLS.
  EXPECT_EQ(sentences(LISTENER POOL "tls_ca = \"/x\"\n"), "");
}

TEST(CrossChecks, WarnOfSettingsThatChangeNothing) {
  EXPECT_EQ(
      sentences("[[listen]]\naddresses = [\"127.0.0.1:993\"]\nlogin_without_tls = true\n"
                "[[tls.certificate]]\nchain = \"/x\"\nkey = \"/y\"\n"),
      "warning: f:3: Listener \"imap-993\" has tls = \"implicit\", where login_without_tls changes nothing. Take it "
      "out.\n");
  EXPECT_EQ(
      sentences(LISTENER POOL "tls_name = \"a.test\"\ntls_ca = \"/x\"\n[auth]\nmode = \"back\"\n"),
      "warning: f:8: Pool \"default\" has tls = \"none\", where tls_name changes nothing. Set tls = \"implicit\" or "
      "\"starttls\", or take it out.\n"
      "warning: f:9: Pool \"default\" has tls = \"none\", where tls_ca changes nothing. Set tls = \"implicit\" or "
      "\"starttls\", or take it out.\n");
  EXPECT_EQ(
      sentences(LISTENER POOL "[auth]\nmode = \"back\"\ntimeout = \"1s\"\n[auth.cache]\nttl = \"5m\"\n"),
      "warning: f:10: timeout in [auth] changes nothing with mode = \"back\": the mail server verifies, nobody else is "
      "asked and nothing is remembered. Take it out.\n"
      "warning: f:12: ttl in [auth.cache] changes nothing with mode = \"back\": the mail server verifies, nobody else "
      "is "
      "asked and nothing is remembered. Take it out.\n");
}

TEST(CrossChecks, WarnOfAShortIdleTimeout) {
  EXPECT_EQ(
      sentences(LISTENER "[limits]\nidle_timeout = \"29m\"\n"),
      "warning: f:6: idle_timeout in [limits] is \"29m\"; RFC 9051, section 5.4: the time \"MUST be at least 30 "
      "minutes\" for a session that is logged in. Mail programs that wait for news would be cut off. Set \"31m\" or "
      "more.\n");
  EXPECT_EQ(sentences(LISTENER "[limits]\nidle_timeout = \"30m\"\n"), "");
}

// A value that was not understood is one problem, and no conclusions are drawn from it.
TEST(CrossChecks, DrawNoConclusionsFromWrongValues) {
  EXPECT_EQ(
      sentences("[[listen]]\naddresses = [\"127.0.0.1:143\"]\ntls = \"nnoe\"\n"),
      "f:3: tls in [[listen]] is \"nnoe\"; did you mean \"none\"? It can be \"implicit\", \"starttls\" or \"none\".\n");
  EXPECT_EQ(
      sentences(LISTENER "proxy_protocol = true\ntrusted = [\"x\"]\n"),
      "f:6: trusted in [[listen]] has \"x\", which is no network. Write an address, a slash and the number of leading "
      "bits, such as \"10.0.0.0/8\".\n");
  EXPECT_EQ(sentences(LISTENER "[auth]\nmode = \"bakc\"\n[auth.cache]\nttl = \"5m\"\n"),
            "f:6: mode in [auth] is \"bakc\"; did you mean \"back\"? It can be \"helper\" or \"back\".\n");
}

// No warning keeps a file from being used.
TEST(CrossChecks, WarningsLeaveAConfig) {
  const LoadResult result = load_text(LISTENER "[limits]\nidle_timeout = \"2s\"\n", "f");
  EXPECT_EQ(result.warnings.size(), 1u);
  ASSERT_TRUE(result.config.has_value());
  EXPECT_EQ(result.config->session.limits.idle_timeout, std::chrono::seconds(2));
}

}  // namespace
}  // namespace postern::config
