// SPDX-License-Identifier: GPL-3.0-or-later
// The states of a session, in the order of its life. Each holds what is alive in it and nothing else: entering Relaying
// destroys the login, its password, parsers and buffers, by construction.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "auth/question.h"
#include "base/endpoint.h"
#include "protocol/login.h"
#include "protocol/proxy_header/reader.h"
#include "protocol/smtp/relay_filter.h"
#include "session/login.h"
#include "tls/client_hello.h"
#include "tls/records.h"

namespace postern::session {

// A load balancer's PROXY header must come first.
struct AwaitingProxyHeader {
  std::unique_ptr<proxy_header::Reader> reader;
};

// The front's TLS handshake. The ClientHello is gathered first, since the channel's certificate depends on it.
struct Handshaking {
  struct Opening {
    tls::RecordReader records;
    tls::ClientHelloReader hello;
  };
  std::unique_ptr<Opening> opening = std::make_unique<Opening>();
  bool after_starttls = false;
  Instant began{};
  std::string end_point;  // of the certificate that was chosen, where SCRAM-SHA-256-PLUS is offered
};

// The dialect's front talks to the mail program.
struct LoggingIn {
  std::unique_ptr<Login> login;
};

// The helper has been asked, or is about to be.
struct Verifying {
  std::unique_ptr<Login> login;
  std::unique_ptr<auth::Question> question;  // until the reactor takes it
};

// A no, the helper's or to a SCRAM proof, is held back for a while, so that guessing is slow.
struct Delaying {
  std::unique_ptr<Login> login;
  std::unique_ptr<protocol::Refusal> refusal;
};

// A connection to a mail server is on its way.
struct Connecting {
  std::unique_ptr<Login> login;
};

// The dialect's back logs in at the mail server.
struct LoggingInBack {
  std::unique_ptr<Login> login;
  bool shaking_hands = false;    // the back channel's handshake is under way
  bool session_offered = false;  // in it
};

// Bytes pass in both directions.
struct Relaying {
  // Few sessions need one of these.
  struct Extras {
    std::optional<smtp::RelayFilter> filter;  // submission
    std::string counted_user;                 // whose limit of sessions this one is counted under
  };
  std::string user;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  std::unique_ptr<Extras> extras;
};

// Nothing new comes in. Flushing: the last bytes are on their way. Lingering: they are out, close_notify with them; the
// mail program's FIN is awaited, since closing with its bytes unread would reset the connection and could destroy what
// it has not read yet. Finishing: the same, but it has been sent our FIN. Over: the sockets may go.
//
// A FIN of its own costs a worker thread of the kernel (io_uring has no other way), and most mail programs hang up at
// close_notify; so it comes only when that was said in clear, or was not understood.
struct Closing {
  enum class Phase : uint8_t { Flushing, Lingering, Finishing, Over };
  Phase phase = Phase::Flushing;
};

using State = std::variant<AwaitingProxyHeader, Handshaking, LoggingIn, Verifying, Delaying, Connecting, LoggingInBack,
                           Relaying, Closing>;

// "Verifying": the word for logs and traces, by the variant's index.
std::string_view state_word(size_t index);
// Whether a session may pass from one state to the other.
bool is_legal_move(size_t from, size_t to);

}  // namespace postern::session
