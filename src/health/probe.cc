// SPDX-License-Identifier: GPL-3.0-or-later
#include "health/probe.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "protocol/proxy_header/writer.h"
#include "session/back_tls.h"
#include "session/dialects.h"

namespace postern::health {
namespace {

using std::string_view_literals::operator""sv;

// A healthy mail server greets and lists its capabilities in milliseconds; one that takes longer than a login may wait
// is no help to a login.
constexpr Duration time_max = std::chrono::seconds(10);

constexpr std::string_view v2_local = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"sv;

}  // namespace

Probe::Probe(const session::Pool& pool, const std::string& hostname, const Endpoint& member, Instant now)
    : pool_(pool),
      member_(member),
      deadline_(now + std::min(time_max, pool.options.connect_timeout + pool.options.login_timeout)) {
  protocol::BackLogin login;
  login.probe = true;
  protocol::BackIdentity identity;
  identity.hostname = hostname;
  const bool starttls = pool.options.tls == auth::BackTls::StartTls;
  back_ = session::make_back(pool.options.dialect, std::move(login), std::move(identity),
                             starttls ? protocol::BackTlsPlan::StartTls : protocol::BackTlsPlan::None);
  connect(member);
}

Probe::~Probe() {
  out_.drop(blocks_, false);
  if (fd_ >= 0) ::close(fd_);
}

void Probe::connect(const Endpoint& member) {
  sockaddr_storage address;
  const socklen_t size = member.to_sockaddr(address);
  fd_ = ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return ill("no-descriptor", strerror(errno));
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), size) == 0) return connected();
  if (errno != EINPROGRESS) ill("unreachable", strerror(errno));
}

void Probe::connected() {
  connected_ = true;
  say_proxy_header();
  if (pool_.options.tls == auth::BackTls::Implicit && !start_tls()) return;
  steer();
}

// The check is the gate's own connection, and says so. Version 1 has UNKNOWN for it, which Postfix does not take, so it
// names the connection's own ends.
void Probe::say_proxy_header() {
  if (pool_.options.proxy_protocol == session::ProxyHeader::V2) out_.append(blocks_, v2_local);
  if (pool_.options.proxy_protocol != session::ProxyHeader::V1) return;
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  std::optional<Endpoint> own;
  if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    own = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&address), size);
  }
  out_.append(blocks_, proxy_header::write_v1(own.value_or(member_), member_));
}

bool Probe::start_tls() {
  channel_ = tls::Channel::open_back(*pool_.tls, pool_.options.tls_name);
  shaking_hands_ = true;
  if (channel_ && channel_.shake_hands({}, out_, blocks_) != tls::Channel::Step::Failed) return true;
  ill(std::string(tls::failure_word(channel_.failure())), "TLS cannot begin");
  return false;
}

void Probe::ready(Instant now) {
  if (!std::holds_alternative<Unfinished>(finding_)) return;
  if (now >= deadline_) return ill("timeout", "it did not answer in time");
  if (!connected_) {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return ill(error == ECONNREFUSED ? "refused" : "unreachable", strerror(error));
    connected();
  }
  if (std::holds_alternative<Unfinished>(finding_)) receive();
  send();
}

void Probe::receive() {
  std::array<char, 8192> buffer;
  while (std::holds_alternative<Unfinished>(finding_)) {
    const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (size > 0) {
      take({buffer.data(), static_cast<size_t>(size)});
      continue;
    }
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    const protocol::Failed closed = back_->closed();
    return ill(std::string(protocol::failure_word(closed.failure)), size < 0 ? strerror(errno) : closed.detail);
  }
}

void Probe::take(std::span<const char> bytes) {
  if (shaking_hands_) {
    shake_hands(bytes);
    if (shaking_hands_ || !std::holds_alternative<Unfinished>(finding_)) return;
  }
  if (!channel_) {
    back_->feed({bytes.data(), bytes.size()});
    return steer();
  }
  channel_.read_all(bytes, out_, blocks_, [this](std::string_view plain) { back_->feed(plain); });
  if (channel_.failure() != tls::Failure::None) {
    return ill(std::string(tls::failure_word(channel_.failure())), "its TLS broke");
  }
  steer();
}

void Probe::shake_hands(std::span<const char>& bytes) {
  while (std::optional<std::span<const char>> record = channel_.next_record(bytes)) {
    const tls::Channel::Step step = channel_.shake_hands(*record, out_, blocks_);
    if (step == tls::Channel::Step::Failed) break;
    if (step == tls::Channel::Step::NeedBytes) continue;
    shaking_hands_ = false;
    if (pool_.options.tls == auth::BackTls::StartTls) back_->tls_started();
    return steer();
  }
  if (channel_.failure() == tls::Failure::None) return;
  ill(std::string(tls::failure_word(channel_.failure())), std::string(session::back_tls_sentence(channel_.failure())));
}

void Probe::steer() {
  while (std::holds_alternative<Unfinished>(finding_)) {
    protocol::BackEvent event = back_->next();
    if (auto* send = std::get_if<protocol::Send>(&event)) {
      say(send->bytes.reveal());
    } else if (std::holds_alternative<protocol::TlsAgreed>(event)) {
      if (start_tls()) return;
    } else if (auto* learned = std::get_if<protocol::Learned>(&event)) {
      finding_ = Well{std::move(learned->capabilities)};
      if (channel_) channel_.close(out_, blocks_);
    } else if (auto* failed = std::get_if<protocol::Failed>(&event)) {
      ill(std::string(protocol::failure_word(failed->failure)), std::move(failed->detail));
    } else {
      return;
    }
  }
}

void Probe::say(std::string_view plain) {
  if (!channel_) return out_.append(blocks_, plain);
  (void)channel_.write(plain, out_, blocks_);
}

void Probe::send() {
  while (fd_ >= 0) {
    if (!out_.flying()) {
      if (out_.waiting_size() == 0) return;
      (void)out_.launch();
      flown_ = 0;
    }
    const std::string_view rest = out_.flying_text().substr(flown_);
    const ssize_t size = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0) return ill("reset", strerror(errno));
    flown_ += static_cast<size_t>(size);
    if (flown_ == out_.flying_size()) out_.landed(blocks_, false);
  }
}

void Probe::ill(std::string why, std::string text) {
  if (std::holds_alternative<Unfinished>(finding_)) finding_ = Ill{std::move(why), std::move(text)};
}

}  // namespace postern::health
