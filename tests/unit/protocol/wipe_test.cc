// SPDX-License-Identifier: GPL-3.0-or-later
// No memory that is given back holds a password. Every block that this program frees while a Watch stands is searched
// for the password in each form in which it travels.
#include <gtest/gtest.h>
#include <string.h>

#include <cstddef>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/imap/back.h"
#include "protocol/imap/front.h"

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
bool logs_in(imap::Front& front, std::string_view bytes, size_t piece) {
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

void play(imap::Back& back, std::string_view server, bool& sent) {
  back.feed(server);
  for (;;) {
    const protocol::BackEvent event = back.next();
    if (std::holds_alternative<NeedBytes>(event)) return;
    if (std::holds_alternative<protocol::Send>(event)) sent = true;
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

}  // namespace
}  // namespace postern
