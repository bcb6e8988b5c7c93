// SPDX-License-Identifier: GPL-3.0-or-later
// A session's TLS towards the mail program: the certificate for the name that it asks for, the dialect by ALPN, and what
// the handshake has found out for the login.
#include <utility>

#include "absl/strings/str_format.h"
#include "session/dialects.h"
#include "session/session.h"

namespace postern::session {
namespace {

// A fatal alert no_application_protocol in clear (RFC 7301, section 3.2), for a mail program with which no handshake has
// begun.
constexpr std::string_view no_protocol_alert("\x15\x03\x03\x00\x02\x02\x78", 7);

}  // namespace

void Session::shake_hands(std::span<const char>& bytes, Instant now) {
  if (!front_.channel && !make_channel(bytes, now)) return;
  while (std::optional<std::span<const char>> record = front_.channel.next_record(bytes)) {
    if (!handshake_stepped(front_.channel.shake_hands(*record, front_.out, surroundings_.pool), now)) return;
  }
  if (front_.channel.failure() != tls::Failure::None) handshake_failed(front_.channel.failure(), now);
}

// Gathers the ClientHello; once it is whole, chooses the certificate, makes the channel and takes the handshake's first
// step. True when the handshake goes on with what is left of `bytes`.
bool Session::make_channel(std::span<const char>& bytes, Instant now) {
  Handshaking::Opening& opening = *std::get<Handshaking>(state_).opening;
  tls::ClientHelloReader::Status status = tls::ClientHelloReader::Status::NeedRecord;
  while (status == tls::ClientHelloReader::Status::NeedRecord) {
    const std::optional<std::span<const char>> record = opening.records.next(bytes);
    if (!record) {
      // A failure ends the state, and `opening` with it.
      const tls::RecordReader::Fault fault = opening.records.fault();
      if (fault == tls::RecordReader::Fault::NotTls) handshake_failed(tls::Failure::NotTls, now);
      if (fault == tls::RecordReader::Fault::TooLong) handshake_failed(tls::Failure::BadRecord, now);
      return false;
    }
    status = opening.hello.feed(*record);
  }
  if (status != tls::ClientHelloReader::Status::Done) {
    handshake_failed(tls::Failure::BadHello, now);
    return false;
  }
  // Before anything that costs; after STARTTLS that was done in clear.
  if (!std::get<Handshaking>(state_).after_starttls) {
    if (const auto limit = surroundings_.admission->shake_hands(share_, limits(), now)) {
      turn_away(*limit, now);
      return false;
    }
  }
  const tls::ClientHello& hello = opening.hello.hello();
  if (listener().dialect == Dialect::Alpn) {
    const std::optional<Dialect> chosen = chosen_dialect(hello);
    if (!chosen) {
      front_.out.append(surroundings_.pool, no_protocol_alert);
      handshake_failed(tls::Failure::WrongProtocol, now);
      return false;
    }
    dialect_ = *chosen;
  }
  const std::string_view alpn = hello.alpn.empty() ? std::string_view() : alpn_of(dialect_);
  const tls::Certificate& certificate = setup_->front_of(listener_).choose(hello);
  const bool binds = listener().mechanisms.has(protocol::Mechanism::ScramSha256Plus);
  if (binds) std::get<Handshaking>(state_).end_point = certificate.end_point;
  front_.channel = tls::Channel::open_front(certificate, alpn, {.exporter_binding = binds});
  if (!front_.channel) {
    handshake_failed(tls::Failure::Internal, now);
    return false;
  }
  return handshake_stepped(front_.channel.shake_hands(opening.hello.records(), front_.out, surroundings_.pool), now);
}

// True when the handshake needs more; false when it is done or has failed, and the session is in another state.
bool Session::handshake_stepped(tls::Channel::Step step, Instant now) {
  if (step == tls::Channel::Step::NeedBytes) return true;
  if (step == tls::Channel::Step::Failed) {
    handshake_failed(front_.channel.failure(), now);
    return false;
  }
  surroundings_.counters.handshakes++;
  if (front_.channel.resumed()) surroundings_.counters.handshakes_resumed++;
  auto& handshaking = std::get<Handshaking>(state_);
  surroundings_.counters.measures.handshake.note(handshaking.began, now);
  surroundings_.counters.measures.tls_versions[front_.channel.version()]++;
  begin_login(handshaking.after_starttls, tls_facts(handshaking), now);
  return false;
}

FrontTlsFacts Session::tls_facts(Handshaking& handshaking) {
  FrontTlsFacts facts;
  facts.sni = handshaking.opening->hello.hello().server_name;
  tls::Findings findings = front_.channel.take_findings();
  if (findings.peer) {
    facts.certificate = {std::move(findings.peer->subject), std::move(findings.peer->common_name),
                         std::move(findings.peer->email), std::move(findings.peer->fingerprint)};
  }
  if (!findings.exporter_binding.empty())
    facts.bindings.push_back({"tls-exporter", std::move(findings.exporter_binding)});
  if (!handshaking.end_point.empty())
    facts.bindings.push_back({"tls-server-end-point", std::move(handshaking.end_point)});
  return facts;
}

void Session::handshake_failed(tls::Failure failure, Instant now) {
  surroundings_.counters.handshakes_failed++;
  surroundings_.counters.measures.handshake_failures[tls::failure_word(failure)]++;
  LogLine& line = log(Severity::Notice, "handshake-failed");
  line.add("reason", tls::failure_word(failure));
  const tls::ClientHello& hello = std::get<Handshaking>(state_).opening->hello.hello();
  if (hello.version_max != 0) line.add("offered", tls::version_name(hello.version_max));
  if (!hello.server_name.empty()) line.add("sni", hello.server_name);
  if (failure == tls::Failure::NotTls) {
    line.say(
        "TLS must begin here, and the mail program sent something else: is it set to STARTTLS, or to no encryption?");
  } else if (front_.channel.library_error() != 0) {
    line.add("library", absl::StrFormat("%d", front_.channel.library_error()));
  }
  finish(EndReason::FrontTls, now);
}

std::optional<Dialect> Session::chosen_dialect(const tls::ClientHello& hello) const {
  for (const std::string& offered : hello.alpn) {
    const std::optional<Dialect> dialect = dialect_of_alpn(offered);
    if (!dialect) continue;
    for (const std::string& name : listener().pools) {
      const Pool* const pool = setup_->pool(name);
      if (pool != nullptr && pool->options.dialect == *dialect) return dialect;
    }
  }
  return std::nullopt;
}

}  // namespace postern::session
