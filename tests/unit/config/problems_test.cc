// SPDX-License-Identifier: GPL-3.0-or-later
// What is said of a wrong file, to the letter: each sentence has its line, what is wrong, and what to do.
#include <gtest/gtest.h>

#include "tests/unit/config/sentences.h"

namespace postern::config {
namespace {

// A listener that needs nothing else, for files whose fault is elsewhere.
#define LISTENER "[[listen]]\naddresses = [\"127.0.0.1:1143\"]\ntls = \"none\"\nlogin_without_tls = true\n"

TEST(Problems, NameTheNearestSetting) {
  EXPECT_EQ(sentences(LISTENER "[gate]\nreactor = 4\n"),
            "f:6: [gate] has no setting \"reactor\"; did you mean \"reactors\"?\n");
  EXPECT_EQ(sentences(LISTENER "[limits]\nidle_tmieout = \"31m\"\n"),
            "f:6: [limits] has no setting \"idle_tmieout\"; did you mean \"idle_timeout\"?\n");
  EXPECT_EQ(sentences(LISTENER "[auth]\nidle_timeout = \"31m\"\n"),
            "f:6: [auth] has no setting \"idle_timeout\"; it belongs below [limits].\n");
  EXPECT_EQ(sentences(LISTENER "[gate]\nlogin_timeout = \"31m\"\n"),
            "f:6: [gate] has no setting \"login_timeout\"; it belongs below [[pool]] or [limits].\n");
  EXPECT_EQ(
      sentences(LISTENER "[gate]\nreject_tlt = \"31m\"\n"),
      "f:6: [gate] has no setting \"reject_tlt\"; did you mean \"reject_ttl\", which belongs below [auth.cache]?\n");
  EXPECT_EQ(sentences(LISTENER "[log]\nfile = \"/x\"\n"),
            "f:6: [log] has no setting \"file\"; it has target, format, repeats_max and level.\n");
  EXPECT_EQ(sentences("reactors = 4\n" LISTENER),
            "f:1: \"reactors\" stands before the first heading; it belongs below [gate].\n");
  EXPECT_EQ(sentences("x = 4\n" LISTENER),
            "f:1: \"x\" stands before the first heading; settings stand below a heading such as [gate].\n");
}

TEST(Problems, NameTheNearestSection) {
  EXPECT_EQ(sentences(LISTENER "[lmits]\nsessions = 4\n"),
            "f:5: There is no section \"lmits\"; did you mean [limits]?\n");
  EXPECT_EQ(sentences(LISTENER "[cache]\nentries = 4\n"),
            "f:5: There is no section \"cache\"; did you mean [auth.cache]?\n");
  EXPECT_EQ(sentences(LISTENER "[[certificate]]\n"),
            "f:5: There is no section \"certificate\"; did you mean [[tls.certificate]]?\n");
  EXPECT_EQ(sentences(LISTENER "[auth.cach]\n"),
            "f:5: There is no section \"auth.cach\"; did you mean [auth.cache]?\n");
  EXPECT_EQ(
      sentences(LISTENER "[smtp]\n"),
      "f:5: There is no section \"smtp\"; there are [gate], [log], [tls], [[tls.certificate]], [[listen]], [auth], "
      "[auth.cache], [[pool]] and [limits].\n");
}

TEST(Problems, CountBrackets) {
  EXPECT_EQ(sentences("[listen]\naddresses = [\"127.0.0.1:1143\"]\ntls = \"none\"\nlogin_without_tls = true\n"),
            "f:1: This section may stand several times: write [[listen]], with double brackets.\n");
  EXPECT_EQ(sentences(LISTENER "[[gate]]\nreactors = 4\n"),
            "f:5: This section stands once: write [gate], with single brackets.\n");
  EXPECT_EQ(sentences("gate = 5\n" LISTENER),
            "f:1: \"gate\" is a section, not a setting: write [gate] and its settings below it.\n");
  EXPECT_EQ(sentences("pool = [{name = \"a\", members = [\"127.0.0.1:143\"]}, 5]\n" LISTENER),
            "f:1: [[pool]] holds settings, and here is something else. Write [[pool]] and the settings below it.\n");
  std::string many = LISTENER;
  for (int i = 0; i < 256; ++i)
    many += "[[listen]]\n";
  EXPECT_EQ(sentences(many), "f:1: There are 257 [[listen]] sections; 256 are possible.\n");
}

TEST(Problems, SayWhatTypeWasFoundAndWhatIsWanted) {
  EXPECT_EQ(sentences(LISTENER "[auth]\ntimeout = 5\n"),
            "f:6: timeout in [auth] must be a duration in quotes; found the number 5. Write, for example: timeout = "
            "\"5s\"\n");
  EXPECT_EQ(sentences(LISTENER "[gate]\nreactors = \"4\"\n"),
            "f:6: reactors in [gate] must be a whole number, without quotes; found the text \"4\". Write, for example: "
            "reactors = 0\n");
  EXPECT_EQ(
      sentences(LISTENER "[limits]\nline_size = 8192\n"),
      "f:6: line_size in [limits] must be a size in quotes; found the number 8192. Write, for example: line_size = "
      "\"8KiB\"\n");
  EXPECT_EQ(
      sentences(LISTENER "[tls]\nmin_version = 1.2\n"),
      "f:6: min_version in [tls] must be a word in quotes; found the number 1.2. Write, for example: min_version = "
      "\"1.2\"\n");
  EXPECT_EQ(sentences(LISTENER "[gate]\nhostname = true\nuser = 1979-05-27\ncontrol = []\n"),
            "f:6: hostname in [gate] must be a host name in quotes; found true. Write, for example: hostname = "
            "\"mail.example.test\"\n"
            "f:7: user in [gate] must be a name in quotes; found a date. Write, for example: user = \"postern\"\n"
            "f:8: control in [gate] must be a path in quotes; found a list. Write, for example: control = "
            "\"/run/postern/control.sock\"\n");
  EXPECT_EQ(
      sentences("[[listen]]\naddresses = [\"127.0.0.1:1143\"]\ntls = \"none\"\nlogin_without_tls = \"yes\"\n"),
      "f:4: login_without_tls in [[listen]] must be true or false, without quotes; found the text \"yes\". Write, for "
      "example: login_without_tls = false\n");
  EXPECT_EQ(sentences(LISTENER "[[pool]]\nname = \"default\"\nmembers = \"127.0.0.1:143\"\n"),
            "f:7: members in [[pool]] must be a list of hosts with ports in quotes; found the text \"127.0.0.1:143\". "
            "Write, for "
            "example: members = [\"192.0.2.10:143\", \"192.0.2.11:143\"]\n");
  EXPECT_EQ(
      sentences(LISTENER "proxy_protocol = true\ntrusted = {a = 1}\n"),
      "f:6: trusted in [[listen]] must be a list of networks in quotes; found a table. Write, for example: trusted = "
      "[\"10.0.0.0/8\", \"2001:db8::/32\"]\n");
}

TEST(Problems, SayTheRange) {
  EXPECT_EQ(sentences(LISTENER "[gate]\nreactors = -1\n"),
            "f:6: reactors in [gate] is -1; it can be from 0 to 1024.\n");
  EXPECT_EQ(sentences(LISTENER "[limits]\nsessions = 0\n"),
            "f:6: sessions in [limits] is 0; it can be from 1 to 10000000.\n");
  EXPECT_EQ(sentences(LISTENER "[auth]\ntimeout = \"1h\"\n"),
            "f:6: timeout in [auth] is \"1h\"; it can be from \"100ms\" to \"5m\".\n");
  EXPECT_EQ(sentences(LISTENER "[auth]\ntimeout = \"99999999999999999999s\"\n"),
            "f:6: timeout in [auth] is \"99999999999999999999s\"; it can be from \"100ms\" to \"5m\".\n");
  EXPECT_EQ(sentences(LISTENER "[auth]\ntimeout = \"18446744073709551d\"\n"),
            "f:6: timeout in [auth] is \"18446744073709551d\"; it can be from \"100ms\" to \"5m\".\n");
  EXPECT_EQ(sentences(LISTENER "[limits]\nliteral_size = \"1MiB\"\n"),
            "f:6: literal_size in [limits] is \"1MiB\"; it can be from \"256B\" to \"64KiB\".\n");
  EXPECT_EQ(sentences(LISTENER "[[pool]]\nname = \"default\"\nmembers = []\n"),
            "f:7: members in [[pool]] has 0 entries; it can have 1 to 1000. Write, for example: members = "
            "[\"192.0.2.10:143\", \"192.0.2.11:143\"]\n");
  std::string many = "[[listen]]\ntls = \"none\"\nlogin_without_tls = true\naddresses = [";
  for (int i = 0; i < 65; ++i)
    many += "\"127.0.0.1:" + std::to_string(2000 + i) + "\",";
  EXPECT_EQ(sentences(many + "]\n"),
            "f:4: addresses in [[listen]] has 65 entries; it can have 1 to 64. Take some out.\n");
}

TEST(Problems, ExplainUnitsWordsNamesAndPaths) {
  for (const char* duration : {"5", "5x", "s", "", "-5s", "1h30m", "5 s", "1.5h"}) {
    EXPECT_EQ(sentences(std::string(LISTENER "[auth]\ntimeout = \"") + duration + "\"\n"),
              std::string("f:6: timeout in [auth] is \"") + duration +
                  "\", which is no duration: a whole number and then ms, s, m, h or d. Write, for example: timeout = "
                  "\"5s\"\n");
  }
  EXPECT_EQ(
      sentences(LISTENER "[limits]\nline_size = \"8KB\"\n"),
      "f:6: line_size in [limits] is \"8KB\", which is no size: a whole number and then B, KiB, MiB or GiB. Write, for "
      "example: line_size = \"8KiB\"\n");
  EXPECT_EQ(sentences(LISTENER "[auth]\nmode = \"bcak\"\n"),
            "f:6: mode in [auth] is \"bcak\"; did you mean \"back\"? It can be \"helper\" or \"back\".\n");
  EXPECT_EQ(sentences(LISTENER "[tls]\nmin_version = \"TLSv1.0\"\n"),
            "f:6: min_version in [tls] is \"TLSv1.0\"; it can be \"1.2\" or \"1.3\".\n");
  EXPECT_EQ(sentences(LISTENER "[tls]\nmin_version = \"1.1\"\n"),
            "f:6: min_version in [tls] is \"1.1\"; did you mean \"1.2\"? It can be \"1.2\" or \"1.3\".\n");
  EXPECT_EQ(
      sentences(LISTENER "protocol = \"pop\"\n"),
      "f:5: protocol in [[listen]] is \"pop\"; did you mean \"pop3\"? It can be \"imap\", \"pop3\", \"submission\", "
      "\"sieve\" or \"alpn\".\n");
  EXPECT_EQ(sentences(LISTENER "name = \"a b\"\n"),
            "f:5: name in [[listen]] is \"a b\"; a name has 1 to 64 letters, digits, \".\", \"-\" or \"_\". Write, for "
            "example: name = \"imap-office\"\n");
  for (const char* host : {"", ".", "a..b", "-a.test", "a b", "a\\r\\nb", "a_b"}) {
    EXPECT_NE(
        sentences(std::string(LISTENER "[gate]\nhostname = \"") + host + "\"\n")
            .find("which is no host name: letters, digits and \"-\", with dots between. Write, for example: hostname = "
                  "\"mail.example.test\"\n"),
        std::string::npos)
        << host;
  }
  EXPECT_EQ(sentences(LISTENER "[auth]\nhelper = \"auth.sock\"\n"),
            "f:6: helper in [auth] is \"auth.sock\"; a path must be whole, from \"/\" on. Write, for example: helper = "
            "\"/run/postern/auth.sock\"\n");
  EXPECT_EQ(sentences(LISTENER "[auth]\nhelper = \"/" + std::string(107, 'x') + "\"\n"),
            "f:6: helper in [auth] is 108 bytes long; the kernel takes 107. Choose a shorter path.\n");
}

TEST(Problems, ExplainAddresses) {
  const auto of = [](const std::string& address) {
    return sentences("[[listen]]\ntls = \"none\"\nlogin_without_tls = true\naddresses = [\"127.0.0.1:1143\", \"" +
                     address + "\"]\n");
  };
  const std::string head = "f:4: addresses in [[listen]] has ";
  EXPECT_EQ(of("*:993"),
            head +
                "\"*:993\", which is no address. Write \"0.0.0.0:993\" for all of IPv4 and \"[::]:993\" for "
                "all of IPv6.\n");
  EXPECT_EQ(of("mail.example.test:993"),
            head +
                "\"mail.example.test:993\", which is a name; names are not looked up. Write "
                "an address, such as \"192.0.2.10:993\".\n");
  EXPECT_EQ(of("mail1"), head +
                             "\"mail1\", which is a name; names are not looked up. Write an address, such as "
                             "\"192.0.2.10:143\".\n");
  EXPECT_EQ(of("192.0.2.7"), head + "\"192.0.2.7\", which lacks its port. Write, for example, \"192.0.2.7:143\".\n");
  EXPECT_EQ(of("[::1]"), head + "\"[::1]\", which lacks its port. Write, for example, \"[::1]:143\".\n");
  EXPECT_EQ(of("::1:993"),
            head + "\"::1:993\", which lacks the brackets of IPv6. Write, for example, \"[2001:db8::10]:143\".\n");
  EXPECT_EQ(of("192.0.2.7:65536"),
            head + "\"192.0.2.7:65536\", which has the port \"65536\". Ports go from 1 to 65535.\n");
  EXPECT_EQ(of("192.0.2.7:0"), head + "\"192.0.2.7:0\", which has the port \"0\". Ports go from 1 to 65535.\n");
  EXPECT_EQ(of("192.0.2.7:imap"),
            head + "\"192.0.2.7:imap\", which has the port \"imap\". Ports go from 1 to 65535.\n");
  for (const char* other : {"", "192.0.2.300:143", "unix:/x", "/run/x", "a b:1", "[::1"}) {
    EXPECT_EQ(of(other), head + "\"" + other +
                             "\", which is no address with a port. Write IPv4 as \"192.0.2.10:143\" and IPv6 "
                             "as \"[2001:db8::10]:143\".\n");
  }
  EXPECT_EQ(
      sentences("[[listen]]\ntls = \"none\"\nlogin_without_tls = true\naddresses = [993]\n"),
      "f:4: addresses in [[listen]] must be a list of addresses in quotes; found the number 993 in it. Write, for "
      "example: addresses = [\"0.0.0.0:993\", \"[::]:993\"]\n");
  EXPECT_EQ(sentences(LISTENER "proxy_protocol = true\ntrusted = [\"10.0.0.0/33\"]\n"),
            "f:6: trusted in [[listen]] has \"10.0.0.0/33\", which is no network. Write an address, a slash and the "
            "number of "
            "leading bits, such as \"10.0.0.0/8\".\n");
}

TEST(Problems, SayWhatIsMissing) {
  EXPECT_EQ(sentences(LISTENER "[[listen]]\ntls = \"none\"\nlogin_without_tls = true\n[[pool]]\n[[tls.certificate]]\n"),
            "f:5: [[listen]] lacks \"addresses\". Write, for example: addresses = [\"0.0.0.0:993\", \"[::]:993\"]\n"
            "f:8: [[pool]] lacks \"name\". Write, for example: name = \"default\"\n"
            "f:8: [[pool]] lacks \"members\". Write, for example: members = [\"192.0.2.10:143\", \"192.0.2.11:143\"]\n"
            "f:9: [[tls.certificate]] lacks \"chain\". Write, for example: chain = \"/etc/postern/tls/mail.crt\"\n"
            "f:9: [[tls.certificate]] lacks \"key\". Write, for example: key = \"/etc/postern/tls/mail.key\"\n");
  const std::string no_listener =
      "There is no [[listen]]: nobody could connect. Add one and below it, for example: addresses = "
      "[\"0.0.0.0:993\", \"[::]:993\"]\n";
  EXPECT_EQ(sentences(""), "f:1: " + no_listener);
  EXPECT_EQ(sentences("[gate]\nreactors = 1\n\n\n"), "f:2: " + no_listener);
}

// Everything at once, in the order of the file.
TEST(Problems, AreAllSaid) {
  EXPECT_EQ(
      sentences(LISTENER "[gate]\nreactors = -1\nhost = \"x\"\n[auth]\ntimeout = 5\nmode = \"x\"\n"),
      "f:6: reactors in [gate] is -1; it can be from 0 to 1024.\n"
      "f:7: [gate] has no setting \"host\"; it has reactors, hostname, user, control, drain_timeout, "
      "upgrade_timeout and "
      "kernel_features.\n"
      "f:9: timeout in [auth] must be a duration in quotes; found the number 5. Write, for example: timeout = \"5s\"\n"
      "f:10: mode in [auth] is \"x\"; it can be \"helper\" or \"back\".\n");
}

TEST(Problems, AreHeldWithinALimit) {
  std::string text = LISTENER;
  for (int i = 0; i < 1000; ++i)
    text += "[x" + std::to_string(i) + "]\n";
  EXPECT_EQ(load_text(text, "f").problems.size(), LoadResult::problems_max);
  EXPECT_EQ(sentences(std::string(file_size_max + 1, '\n')),
            "f: The file is larger than 4MiB, which is no configuration of Postern.\n");
}

// What the file holds cannot break the line or the terminal.
TEST(Problems, QuoteWhatTheFileHolds) {
  EXPECT_EQ(sentences(LISTENER "[auth]\nmode = \"a\\n\\u001b[2Jb\\\"\\u00e9\"\n"),
            "f:6: mode in [auth] is \"a\\x0a\\x1b[2Jb\\\"\\xc3\\xa9\"; it can be \"helper\" or \"back\".\n");
  EXPECT_EQ(sentences(LISTENER "[auth]\nmode = \"" + std::string(200, 'x') + "\"\n"),
            "f:6: mode in [auth] is \"" + std::string(80, 'x') + "...\"; it can be \"helper\" or \"back\".\n");
}

TEST(Problems, KnowTheirColumn) {
  const LoadResult result = load_text(LISTENER "[gate]\nreactors = -1\n  reactor = 1\n", "f");
  ASSERT_EQ(result.problems.size(), 2u);
  EXPECT_EQ(result.problems[0].column, 12u);
  EXPECT_EQ(result.problems[1].column, 3u);
}

}  // namespace
}  // namespace postern::config
