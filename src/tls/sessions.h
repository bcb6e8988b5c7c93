// SPDX-License-Identifier: GPL-3.0-or-later
// Sessions with mail servers, for the next connection: it then costs neither side a signature (RFC 5077; RFC 8446,
// section 2.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "tls/server_name.h"

struct WOLFSSL_SESSION;

namespace postern::tls {

class BackContext;

// What a mail server's ticket resumes. The mail server was verified by one context and for one name, and is not again
// when the session is resumed, so it is good for these only. Holds keys, and is wiped when it dies.
class BackSession {
 public:
  BackSession() = default;

  explicit operator bool() const { return session_ != nullptr; }
  bool is_for(const BackContext& context, const ServerName& name) const;

 private:
  friend class Channel;
  struct Free {
    void operator()(WOLFSSL_SESSION* session) const;
  };

  std::unique_ptr<WOLFSSL_SESSION, Free> session_;
  uint64_t context_id_ = 0;
  std::string name_;
};

// The sessions of one reactor, which shares them with nobody.
class BackSessions {
 public:
  // A session has some 700 bytes with its ticket. This is enough for dozens of mail servers.
  static constexpr size_t count_max = 256;
  // One mail server's: as many logins at once find one, and a mail server that many use leaves room for others.
  static constexpr size_t count_each_max = 8;

  // Keeps a session with the mail server at `endpoint`; of too many the oldest goes. An empty one is no session.
  void keep(std::string_view endpoint, BackSession session);
  // The newest that fits, which is gone from here: a ticket of TLS 1.3 is good for once (RFC 8446, appendix C.4), and in
  // TLS 1.2 the connection gives its session back. Empty: there is none.
  BackSession take(const BackContext& context, std::string_view endpoint, std::string_view name);

  // Drops all of one mail server. For when a handshake failed that offered a session: the mail server may have changed
  // its TLS versions, which the library finds out only without one, so the next attempt must be.
  void forget(std::string_view endpoint);

  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string endpoint;
    BackSession session;
  };
  std::deque<Entry> entries_;  // oldest first
};

}  // namespace postern::tls
