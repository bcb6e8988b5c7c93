// SPDX-License-Identifier: GPL-3.0-or-later
// The language of dialogs: what is read from a line, and which lines are none; and how lines are cut.
#include "script.h"

#include <gtest/gtest.h>

#include "cutter.h"

namespace postern::dialog {
namespace {

using std::string_literals::operator""s;

TEST(RunnerTextTest, ResolvesEscapesAndRepetitions) {
  EXPECT_EQ(octets_of(R"(a\r\n\t\\\"\0\x21\xff)", 1), "a\r\n\t\\\"\0!\xff"s);
  EXPECT_EQ(octets_of(R"(\07)", 1), "\0007"s);
  EXPECT_EQ(octets_of(R"(<{{3*"ab\r"}}>{3+})", 1), "<ab\rab\rab\r>{3+}");
  EXPECT_EQ(octets_of(R"({{base64*"\0{{2*"jo"}}\0{{1*"e"}}"}}.)", 1), base64_of("\0jojo\0e"s) + ".");
}

TEST(RunnerTextTest, RefusesWhatIsNoEscape) {
  for (const char* text : {R"(\q)", R"(\x)", R"(\x1)", R"(\xzz)", "\\", R"({{x*"a"}})", R"({{3*a}})"}) {
    EXPECT_THROW(octets_of(text, 1), Fault) << text;
  }
}

TEST(RunnerTextTest, ReadsWords) {
  const std::vector<Word> words = words_of(R"(one "t w\"o" key=value other="a b" x="{{2*"y"}}")", 1);
  ASSERT_EQ(words.size(), 5u);
  EXPECT_EQ(words[0].value, "one");
  EXPECT_EQ(words[1].value, "t w\"o");
  EXPECT_TRUE(words[1].quoted);
  EXPECT_EQ(words[2].key, "key");
  EXPECT_EQ(setting(words, "other"), "a b");
  EXPECT_EQ(setting(words, "x"), "yy");
  EXPECT_EQ(setting(words, "none", "fallback"), "fallback");
  EXPECT_TRUE(has_word(words, "one"));
  EXPECT_FALSE(has_word(words, "t w\"o"));
  EXPECT_THROW(words_of("\"open", 1), Fault);
}

TEST(RunnerTextTest, ReadsTimes) {
  EXPECT_EQ(duration_of("200ms"), Duration(200));
  EXPECT_EQ(duration_of("31m"), Duration(31 * 60000));
  EXPECT_EQ(duration_of("5"), std::nullopt);
  EXPECT_EQ(duration_of("fast"), std::nullopt);
}

TEST(RunnerTextTest, KnowsBase64) {
  for (const std::string& octets : {""s, "a"s, "ab"s, "abc"s, "\0joe\0x"s}) {
    EXPECT_EQ(octets_of_base64(base64_of(octets)), octets);
  }
  EXPECT_EQ(base64_of("\0joe\0secret"s), "AGpvZQBzZWNyZXQ=");
  for (const char* text : {"A", "AB=C", "@@@@", " AAAA"})
    EXPECT_EQ(octets_of_base64(text), std::nullopt) << text;
}

TEST(RunnerScriptTest, RefusesLinesThatMeanNothing) {
  for (const char* text : {"", "fly front", "front> \\q", "middle> a", "front< /(/", "front< @ok",
                           "within soon front< a", "within 5s wait", "repeat 3\nwait 1s", "set the sails", "wait",
                           "wait soon", "wait quiet front", "tls front dance", "close> front twice", "only memory",
                           "helper> verify \"joe", "admit \"a\" \"b\" via LOGIN"}) {
    EXPECT_THROW(read_dialog_text(text, "test"), Fault) << text;
  }
}

TEST(RunnerScriptTest, SpellsOutTheShortForms) {
  const Dialog dialog = read_dialog_text("login front joe s3cret\nlogin front2 ann s3cret2 imap\n", "test");
  std::vector<std::string> who;
  for (const Step& step : dialog.steps)
    who.push_back(step.who);
  const std::vector<std::string> once = {"front", "front", "front", "helper", "helper",
                                         "back",  "back",  "back",  "front"};
  std::vector<std::string> expected = once;
  for (const std::string& name : once)
    expected.push_back(name == "helper" ? name : name + "2");
  EXPECT_EQ(who, expected);
  EXPECT_EQ(dialog.secrets, (std::vector<std::string>{"s3cret", "s3cret2"}));
}

// The octets that the mail program and the mail server send in a whole login at that listener.
std::string sent_in_login(const std::string& listener) {
  std::string sent;
  for (const Step& step : read_dialog_text("login front joe s3cret " + listener + "\n", "test").steps)
    sent += step.octets;
  return sent;
}

TEST(RunnerScriptTest, SpellsOutALoginInEachDialect) {
  EXPECT_EQ(sent_in_login("pop3s"), "USER joe\r\nPASS s3cret\r\n+OK Mail server ready\r\n+OK done\r\n");
  EXPECT_EQ(sent_in_login("submissions"),
            "EHLO laptop.example.test\r\nAUTH PLAIN AGpvZQBzM2NyZXQ=\r\n"
            "220 store.example.test ESMTP ready\r\n235 2.7.0 done\r\n");
  EXPECT_TRUE(sent_in_login("sieves").starts_with("AUTHENTICATE \"PLAIN\" \"AGpvZQBzM2NyZXQ=\"\r\n\"IMPLEMENTATION\""));
  EXPECT_TRUE(sent_in_login("sieves").ends_with("OK \"Mail server ready\"\r\nOK \"done\"\r\n"));
}

TEST(RunnerScriptTest, AsksAboutTheDialectOfTheLastLogin) {
  const Dialog dialog = read_dialog_text(
      "open front pop3s\nopen front2 imaps\nfront> PASS x\\r\\n\nhelper> verify\nfront2> a LOGIN b c\\r\\n\nhelper> "
      "verify\nback< x\n",
      "test");
  EXPECT_EQ(setting(dialog.steps[3].words, "protocol"), "pop3");
  EXPECT_EQ(setting(dialog.steps[5].words, "protocol"), "imap");
  EXPECT_EQ(dialog.steps[6].dialect, Dialect::Imap);
}

TEST(RunnerScriptTest, RepeatsAndKeepsLineNumbers) {
  const Dialog dialog = read_dialog_text("# first\nrepeat 3\n\nwait 1s\nend\nwait 2s\n", "test");
  ASSERT_EQ(dialog.steps.size(), 4u);
  EXPECT_EQ(dialog.steps[2].line, 4u);
  EXPECT_EQ(dialog.steps[3].line, 6u);
}

size_t glued_size(const char* text) {
  return glued(read_dialog_text(text, "test").steps).size();
}

TEST(RunnerScriptTest, GluesWhatNeedNotWait) {
  EXPECT_EQ(glued_size("front> a\nfront> b\n"), 1u);
  EXPECT_EQ(glued_size("front> a\nfront< x\nfront> b\nfront< y\n"), 3u);
  EXPECT_EQ(glued_size("front> a1 LOGIN joe\nhelper> verify\nhelper< refuse\nfront< @no\nfront> b\n"), 4u);
  EXPECT_EQ(glued(read_dialog_text("front> a\nfront< x\nfront> b\n", "test").steps)[0].octets, "ab");
}

TEST(RunnerScriptTest, DoesNotGlueOverAnAnswerThatIsNeeded) {
  for (const char* text :
       {"front> a\nfront< + \\r\\n\nfront> b\n", "front> a\nfront< /\\+.*/\nfront> b\n",
        "front> a\nwait 1s\nfront> b\n", "front> a\nfront2> c\nfront> b\n", "front> a\ntls front start\nfront> b\n",
        "front> a\nfront>? b\nwait 1s", "front> a\nwithin 1s front< x\nfront> b\n"}) {
    EXPECT_EQ(glued_size(text), 3u) << text;
  }
}

TEST(RunnerScriptTest, KnowsWhatIsNeededInEachDialect) {
  EXPECT_EQ(glued_size("open front pop3s\nfront> a\nfront< +OK\nfront> b\n"), 3u);
  EXPECT_EQ(glued_size("open front pop3s\nfront> a\nfront< + \\r\\n\nfront> b\n"), 4u);
  EXPECT_EQ(glued_size("open front submissions\nfront> a\nfront< @list\nfront> b\n"), 3u);
  EXPECT_EQ(glued_size("open front submissions\nfront> a\nfront< 334 x\nfront> b\n"), 4u);
  EXPECT_EQ(glued_size("open front sieves\nfront> a\nfront< @greet\nfront> b\n"), 3u);
  EXPECT_EQ(glued_size("open front sieves\nfront> a\nfront< \"\"\\r\\n\nfront> b\n"), 4u);
}

TEST(RunnerDialectTest, FindsTheEndOfAList) {
  EXPECT_EQ(list_size("250-a\r\n250 b\r\n220", Dialect::Submission), 14u);
  EXPECT_EQ(list_size("250-a\r\n250", Dialect::Submission), 0u);
  EXPECT_EQ(list_size("250-a\r\n500 b\r\n", Dialect::Submission), 0u);
  EXPECT_EQ(list_size("+OK\r\nTOP\r\n.\r\n+OK\r\n", Dialect::Pop3), 13u);
  EXPECT_EQ(list_size("-ERR\r\n.\r\n", Dialect::Pop3), 0u);
  EXPECT_EQ(list_size("\"SIEVE\" \"\"\r\nOK\r\n", Dialect::Sieve), 16u);
  EXPECT_EQ(list_size("\"SIEVE\" \"\"\r\nBYE\r\n", Dialect::Sieve), 0u);
  EXPECT_EQ(list_size("* ID NIL\r\na1 OK in\r\n* x\r\n", Dialect::Imap), 20u);
}

TEST(RunnerScriptTest, WritesTheConfiguration) {
  const Dialog dialog = read_dialog_text(
      "set limits sessions = 2\nset listen imaps proxy_protocol = true\nset pool default members = [\"127.0.1.1\", "
      "\"[::1]\"]\n"
      "set pool spare members = [\"127.0.1.9\"]\nset listen plain absent\nwait 1s\n",
      "test");
  const std::string text = configuration(dialog, "/folder");
  for (const char* line :
       {"[limits]\nsessions = 2\n", "proxy_protocol = true\n", "members = [\"127.0.1.1:143\", \"[::1]:143\"]\n",
        "[[pool]]\nname = \"spare\"\nprotocol = \"imap\"\nmembers = [\"127.0.1.9:143\"]\n",
        "chain = \"/folder/mail.crt\"\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
  EXPECT_EQ(text.find("10143"), std::string::npos);
}

TEST(RunnerScriptTest, WritesWhatADialogNames) {
  const std::string without = configuration(read_dialog_text("open front imaps\n", "test"), "/folder");
  EXPECT_EQ(without.find("pop3"), std::string::npos);
  const std::string with = configuration(
      read_dialog_text("set pool sieve members = [\"127.0.1.9 weight=2\"]\nopen front pop3s\n", "test"), "/folder");
  for (const char* line :
       {"name = \"pop3s\"\nprotocol = \"pop3\"\n", "pool = \"pop3\"\n", "members = [\"127.0.1.1:110\"]\n",
        "name = \"sieve\"\nprotocol = \"sieve\"\nmembers = [\"127.0.1.9:4190 weight=2\"]\n"}) {
    EXPECT_NE(with.find(line), std::string::npos) << line << "\n" << with;
  }
}

using Pieces = std::vector<std::string>;

TEST(RunnerCutterTest, CutsALineAtItsPlaceOnly) {
  Cutter cutter(Kind::FrontCuts, 5);
  EXPECT_EQ(cutter.pieces(Side::Front, "abc"), Pieces{"abc"});
  EXPECT_EQ(cutter.pieces(Side::Back, "backs"), Pieces{"backs"});
  EXPECT_EQ(cutter.pieces(Side::Front, "defg"), (Pieces{"de", "fg"}));
  EXPECT_EQ(cutter.places(Side::Front), (std::vector<size_t>{1, 2, 4, 5, 6}));
  EXPECT_EQ(cutter.places(Side::Back), (std::vector<size_t>{1, 2, 3, 4}));
}

TEST(RunnerCutterTest, GoesByteByByteOnItsSide) {
  Cutter cutter(Kind::BackBytes);
  EXPECT_EQ(cutter.pieces(Side::Front, "abc"), Pieces{"abc"});
  EXPECT_EQ(cutter.pieces(Side::Back, "abc"), (Pieces{"a", "b", "c"}));
  EXPECT_EQ(cutter.segments("abc", 0), Pieces{"abc"});
  EXPECT_EQ(Cutter(Kind::WireBytes).segments("abc", 0), (Pieces{"a", "b", "c"}));
  EXPECT_EQ(cutter.segments("abc", 2), (Pieces{"ab", "c"}));
}

TEST(RunnerCutterTest, LosesNothingOfALongLine) {
  const std::string line(10000, 'x');
  Cutter cutter(Kind::FrontBytes);
  size_t size = 0;
  for (const std::string& piece : cutter.pieces(Side::Front, line))
    size += piece.size();
  EXPECT_EQ(size, line.size());
  EXPECT_LE(cutter.places(Side::Front).size(), Cutter::places_max);
  EXPECT_EQ(cutter.places(Side::Front).front(), 1u);
  EXPECT_GT(cutter.places(Side::Front).back(), line.size() - Cutter::line_size_max);
}

}  // namespace
}  // namespace postern::dialog
