// SPDX-License-Identifier: GPL-3.0-or-later
// No memory that is given back holds a password. Every block that this program frees while a Watch stands is searched
// for the password in each form in which it travels.
#include <gtest/gtest.h>
#include <string.h>

#include <cstddef>
#include <cstdlib>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/imap/back.h"
#include "protocol/imap/front.h"
#include "protocol/pop3/back.h"
#include "protocol/pop3/front.h"
#include "protocol/sieve/back.h"
#include "protocol/sieve/front.h"
#include "protocol/smtp/back.h"
#include "protocol/smtp/front.h"

namespace {

// Longer than the small-string buffer, so that every copy is on the heap; with something to escape in quotes.
constexpr std::string_view password = "correct-\"horse\"-battery-staple";
constexpr std::string_view password_quoted = "correct-\\\"horse\\\"-battery-staple";
// NUL joe NUL password, and the password alone.
constexpr std::string_view plain_base64 = "AGpvZQBjb3JyZWN0LSJob3JzZSItYmF0dGVyeS1zdGFwbGU=";
constexpr std::string_view password_base64 = "Y29ycmVjdC0iaG9yc2UiLWJhdHRlcnktc3RhcGxl";

bool watching = false;
int found = 0;

bool holds(const char* block, size_t size, std::string_view needle) {
  return memmem(block, size, needle.data(), needle.size()) != nullptr;
}

// In front of each block stands its size.
constexpr size_t front_size = alignof(max_align_t);

void search(const char* bytes, size_t size) {
  // The middle part is in every form of the text; base64 has forms of its own.
  if (holds(bytes, size, "-battery-staple") || holds(bytes, size, plain_base64.substr(16)) ||
      holds(bytes, size, password_base64)) {
    ++found;
  }
}

class Watch {
 public:
  Watch() {
    found = 0;
    watching = true;
  }
  ~Watch() { watching = false; }
};

}  // namespace

// Zeros first: what an earlier owner left in a block is not its new owner's fault.
[[gnu::noinline]] void* operator new(size_t size) {
  char* memory = static_cast<char*>(calloc(1, front_size + size));
  if (memory == nullptr) abort();
  memcpy(memory, &size, sizeof size);
  return memory + front_size;
}
void* operator new[](size_t size) {
  return operator new(size);
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  if (block == nullptr) return;
  char* memory = static_cast<char*>(block) - front_size;
  size_t size = 0;
  memcpy(&size, memory, sizeof size);
  if (watching) search(static_cast<const char*>(block), size);
  free(memory);
}
void operator delete[](void* block) noexcept {
  operator delete(block);
}
void operator delete(void* block, size_t) noexcept {
  operator delete(block);
}
void operator delete[](void* block, size_t) noexcept {
  operator delete(block);
}

namespace postern {
namespace {

using protocol::Login;
using protocol::NeedBytes;

// Plays until a login, and whether there was one with the right password.
bool logs_in(protocol::Front& front, std::string_view bytes, size_t piece) {
  bool right = false;
  while (!bytes.empty()) {
    front.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (;;) {
      const protocol::FrontEvent event = front.next();
      if (std::holds_alternative<NeedBytes>(event)) break;
      const Login* login = std::get_if<Login>(&event);
      if (login == nullptr) continue;
      right = login->credentials.password.reveal() == password;
      front.rejected({});
    }
  }
  return right;
}

TEST(Wipe, TheSearchFinds) {
  const Watch watch;
  { const std::string copy(password); }
  EXPECT_EQ(found, 1);
}

TEST(Wipe, SieveFrontLeavesNoPasswordBehind) {
  const std::string size = std::to_string(plain_base64.size());
  const std::string at_once = "AUTHENTICATE \"PLAIN\" \"" + std::string(plain_base64) + "\"\r\n";
  const std::string literal = "AUTHENTICATE \"PLAIN\" {" + size + "+}\r\n" + std::string(plain_base64) + "\r\n";
  const std::string plain = "AUTHENTICATE \"PLAIN\"\r\n{" + size + "}\r\n" + std::string(plain_base64) + "\r\n";
  const std::string login = "AUTHENTICATE \"LOGIN\" \"am9l\"\r\n\"" + std::string(password_base64) + "\"\r\n";
  for (const std::string& bytes : {std::cref(at_once), std::cref(literal), std::cref(plain), std::cref(login)}) {
    for (const size_t piece : {bytes.size(), size_t{1}, size_t{7}}) {
      const Watch watch;
      {
        sieve::Front front({.login_allowed = true});
        EXPECT_TRUE(logs_in(front, bytes, piece)) << bytes;
      }
      EXPECT_EQ(found, 0) << bytes;
    }
  }
}

TEST(Wipe, FrontLeavesNoPasswordBehind) {
  const std::string quoted = "a1 LOGIN joe \"" + std::string(password_quoted) + "\"\r\n";
  const std::string literal =
      "a1 LOGIN joe {" + std::to_string(password.size()) + "+}\r\n" + std::string(password) + "\r\n";
  const std::string plain_at_once = "a1 AUTHENTICATE PLAIN " + std::string(plain_base64) + "\r\n";
  const std::string plain = "a1 AUTHENTICATE PLAIN\r\n" + std::string(plain_base64) + "\r\n";
  const std::string login = "a1 AUTHENTICATE LOGIN am9l\r\n" + std::string(password_base64) + "\r\n";
  for (const std::string& bytes :
       {std::cref(quoted), std::cref(literal), std::cref(plain_at_once), std::cref(plain), std::cref(login)}) {
    for (const size_t piece : {bytes.size(), size_t{1}, size_t{7}}) {
      const Watch watch;
      {
        imap::Front front({.login_allowed = true});
        EXPECT_TRUE(logs_in(front, bytes, piece)) << bytes;
      }
      EXPECT_EQ(found, 0) << bytes;
    }
  }
}

// Neither does one that never came to its end, nor one behind which so much came that the buffer had to grow.
TEST(Wipe, FrontLeavesNothingOfAnUnfinishedLogin) {
  const std::string half = "a1 LOGIN joe \"" + std::string(password_quoted);
  const std::string much(5000, 'x');
  const Watch watch;
  {
    imap::Front front({.login_allowed = true});
    front.feed(half);
    EXPECT_TRUE(std::holds_alternative<NeedBytes>(front.next()));
    front.feed(much);
    EXPECT_TRUE(std::holds_alternative<NeedBytes>(front.next()));
  }
  EXPECT_EQ(found, 0);
}

void play(protocol::Back& back, std::string_view server, bool& sent) {
  back.feed(server);
  for (;;) {
    const protocol::BackEvent event = back.next();
    if (std::holds_alternative<NeedBytes>(event)) return;
    if (std::holds_alternative<protocol::Send>(event)) sent = true;
  }
}

TEST(Wipe, SieveBackLeavesNoPasswordBehind) {
  const std::string_view servers[] = {
      "\"SASL\" \"PLAIN\"\r\nOK\r\nOK\r\n",
      "\"SASL\" \"PLAIN\"\r\nOK\r\nNO (QUOTA) \"never mind\"\r\n",
      "\"SASL\" \"LOGIN\"\r\nOK\r\n\"\"\r\n\"\"\r\nNO (QUOTA) \"never mind\"\r\n",
      "\"SASL\" \"LOGIN\"\r\nOK\r\n",
      "\"SASL\" \"PLAIN\"\r\nOK\r\nBYE\r\n",
  };
  // In quotes, and as a literal.
  for (const std::string_view server : servers) {
    for (const size_t more : {size_t{0}, size_t{1000}}) {
      bool sent = false;
      const std::string text = std::string(password) + std::string(more, 'x');
      const Watch watch;
      {
        sieve::Back back({.user = "joe", .password = Secret(text)}, {}, protocol::BackTlsPlan::None);
        play(back, server, sent);
      }
      EXPECT_TRUE(sent) << server;
      EXPECT_EQ(found, 0) << server;
    }
  }
}

TEST(Wipe, BackLeavesNoPasswordBehind) {
  const std::string_view servers[] = {
      "* OK hi\r\nP1 OK in\r\n",
      "* OK hi\r\nP1 NO [LIMIT] never mind\r\n",
      "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED SASL-IR AUTH=PLAIN] hi\r\nP1 OK in\r\n",
      "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] hi\r\n+ \r\nP1 OK in\r\n",
      "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] hi\r\n+ \r\nP1 NO [LIMIT] x\r\n",
      "* OK hi\r\n* BYE\r\n",
      "* OK hi\r\n",
  };
  for (const std::string_view server : servers) {
    // A name of eight bits needs literals.
    for (const char* user : {"joe", "j\xc3\xb6"}) {
      bool sent = false;
      const Watch watch;
      {
        imap::Back back({.user = user, .password = Secret(password)}, {}, protocol::BackTlsPlan::None);
        play(back, server, sent);
      }
      EXPECT_TRUE(sent) << server;
      EXPECT_EQ(found, 0) << server;
    }
  }
}

TEST(Wipe, Pop3FrontLeavesNoPasswordBehind) {
  const std::string pass = "USER joe\r\nPASS " + std::string(password) + "\r\n";
  const std::string plain_at_once = "AUTH PLAIN " + std::string(plain_base64) + "\r\n";
  const std::string plain = "AUTH PLAIN\r\n" + std::string(plain_base64) + "\r\n";
  for (const std::string& bytes : {std::cref(pass), std::cref(plain_at_once), std::cref(plain)}) {
    for (const size_t piece : {bytes.size(), size_t{1}, size_t{7}}) {
      const Watch watch;
      {
        pop3::Front front({.login_allowed = true});
        EXPECT_TRUE(logs_in(front, bytes, piece)) << bytes;
      }
      EXPECT_EQ(found, 0) << bytes;
    }
  }
}

TEST(Wipe, Pop3BackLeavesNoPasswordBehind) {
  const std::string_view servers[] = {
      "+OK\r\n+OK\r\n+OK in\r\n",
      "+OK\r\n+OK\r\n-ERR [IN-USE] never mind\r\n",
      "+OK\r\n+ \r\n+OK in\r\n",
      "+OK\r\n-ERR\r\n+OK\r\nSASL PLAIN\r\n.\r\n+ \r\n-ERR\r\n",
      "+OK\r\n",
  };
  for (const std::string_view server : servers) {
    for (const auto mechanism : {std::optional<protocol::Mechanism>(), std::optional(protocol::Mechanism::Plain)}) {
      bool sent = false;
      const Watch watch;
      {
        pop3::Back back({.user = "joe", .password = Secret(password), .mechanism = mechanism}, {},
                        protocol::BackTlsPlan::None);
        play(back, server, sent);
      }
      EXPECT_TRUE(sent) << server;
      EXPECT_EQ(found, 0) << server;
    }
  }
}

}  // namespace
TEST(Wipe, SmtpFrontLeavesNoPasswordBehind) {
  const std::string plain_at_once = "EHLO x\r\nAUTH PLAIN " + std::string(plain_base64) + "\r\n";
  const std::string plain = "EHLO x\r\nAUTH PLAIN\r\n" + std::string(plain_base64) + "\r\n";
  const std::string login = "EHLO x\r\nAUTH LOGIN am9l\r\n" + std::string(password_base64) + "\r\n";
  for (const std::string& bytes : {std::cref(plain_at_once), std::cref(plain), std::cref(login)}) {
    for (const size_t piece : {bytes.size(), size_t{1}, size_t{7}}) {
      const Watch watch;
      {
        smtp::Front front({.login_allowed = true});
        EXPECT_TRUE(logs_in(front, bytes, piece)) << bytes;
      }
      EXPECT_EQ(found, 0) << bytes;
    }
  }
}

TEST(Wipe, SmtpBackLeavesNoPasswordBehind) {
  const std::string hello = "220 x\r\n250-x\r\n250 AUTH ";
  const std::string echo =
      "550-5.7.1 " + std::string(password_base64) + "\r\n550 5.7.1 " + std::string(password) + "\r\n";
  const std::string servers[] = {
      hello + "PLAIN\r\n235 in\r\n",
      hello + "PLAIN\r\n" + echo,
      hello + "PLAIN\r\n",
      hello + "LOGIN\r\n334 \r\n334 \r\n235 in\r\n",
      hello + "LOGIN\r\n334 \r\n334 \r\n550 " + std::string(password_base64) + "\r\n",
      hello + "LOGIN\r\n421 bye\r\n",
  };
  for (const std::string& server : servers) {
    for (const size_t padding : {0, 500}) {
      // A long name makes the response wait for 334.
      bool sent = false;
      const Watch watch;
      {
        smtp::Back back({.user = "joe" + std::string(padding, 'e'), .password = Secret(password)}, {},
                        protocol::BackTlsPlan::None);
        play(back, server, sent);
      }
      EXPECT_TRUE(sent) << server;
      EXPECT_EQ(found, 0) << server;
    }
  }
}

}  // namespace postern
