// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/dialects.h"

#include <utility>

#include "base/check.h"
#include "protocol/imap/back.h"
#include "protocol/imap/front.h"
#include "protocol/pop3/back.h"
#include "protocol/pop3/front.h"
#include "protocol/sieve/back.h"
#include "protocol/sieve/front.h"
#include "protocol/smtp/back.h"
#include "protocol/smtp/front.h"

namespace postern::session {

std::string_view alpn_of(Dialect dialect) {
  switch (dialect) {
    case Dialect::Imap: return "imap";
    case Dialect::Pop3: return "pop3";
    case Dialect::Submission: return "smtp";
    case Dialect::Sieve: return "managesieve";
    case Dialect::Alpn: break;
  }
  return {};
}

std::optional<Dialect> dialect_of_alpn(std::string_view alpn) {
  for (const Dialect dialect : {Dialect::Imap, Dialect::Pop3, Dialect::Submission, Dialect::Sieve}) {
    if (alpn_of(dialect) == alpn) return dialect;
  }
  return std::nullopt;
}

auth::BackPorts back_ports(Dialect dialect) {
  switch (dialect) {
    case Dialect::Pop3: return {110, 995};
    case Dialect::Submission: return {587, 465};
    case Dialect::Sieve: return {4190, 4190};
    case Dialect::Imap:
    case Dialect::Alpn: break;
  }
  return {143, 993};
}

std::unique_ptr<protocol::Front> make_front(Dialect dialect, protocol::FrontOptions options) {
  switch (dialect) {
    case Dialect::Imap: return std::make_unique<imap::Front>(std::move(options));
    case Dialect::Pop3: return std::make_unique<pop3::Front>(std::move(options));
    case Dialect::Submission: return std::make_unique<smtp::Front>(std::move(options));
    case Dialect::Sieve: return std::make_unique<sieve::Front>(std::move(options));
    case Dialect::Alpn: break;
  }
  CHECK(false && "ALPN has chosen no dialect");
  return nullptr;
}

std::unique_ptr<protocol::Back> make_back(Dialect dialect, protocol::BackLogin login, protocol::BackIdentity identity,
                                          protocol::BackTlsPlan tls) {
  switch (dialect) {
    case Dialect::Imap: return std::make_unique<imap::Back>(std::move(login), std::move(identity), tls);
    case Dialect::Pop3: return std::make_unique<pop3::Back>(std::move(login), std::move(identity), tls);
    case Dialect::Submission: return std::make_unique<smtp::Back>(std::move(login), std::move(identity), tls);
    case Dialect::Sieve: return std::make_unique<sieve::Back>(std::move(login), std::move(identity), tls);
    case Dialect::Alpn: break;
  }
  CHECK(false && "ALPN is no dialect of a mail server");
  return nullptr;
}

}  // namespace postern::session
