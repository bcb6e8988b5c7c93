// SPDX-License-Identifier: GPL-3.0-or-later
#include "gate.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace postern::tls::test {
namespace {

class Library : public ::testing::Environment {
  void SetUp() override { start_library(); }
};
[[maybe_unused]] ::testing::Environment* const library = ::testing::AddGlobalTestEnvironment(new Library);

}  // namespace

Gate::Gate(const FrontContext& context, std::string protocol, FrontWishes wishes)
    : front_(&context), protocol_(std::move(protocol)), wishes_(wishes) {}

Gate::Gate(const BackContext& context, std::string_view name, const BackSession* resume)
    : channel_(Channel::open_back(context, name, resume)) {
  if (!channel_) std::abort();
  shake_hands({});
}

Gate::~Gate() {
  out_.drop(pool_, true);
}

void Gate::feed(std::string_view cipher) {
  std::span<const char> bytes(cipher);
  while (failure_ == Failure::None && !channel_) {
    const std::optional<std::span<const char>> record = reader_.next(bytes);
    if (!record) {
      if (reader_.fault() != RecordReader::Fault::None) failure_ = Failure::NotTls;
      return;
    }
    on_hello_record(*record);
  }
  while (failure_ == Failure::None) {
    const std::optional<std::span<const char>> record = channel_.next_record(bytes);
    if (!record) break;
    on_record(*record);
  }
  if (failure_ == Failure::None) failure_ = channel_.failure();
}

void Gate::on_hello_record(std::span<const char> record) {
  switch (hello_.feed(record)) {
    case ClientHelloReader::Status::NeedRecord: return;
    case ClientHelloReader::Status::Malformed:
    case ClientHelloReader::Status::TooLong: failure_ = Failure::BadHello; return;
    case ClientHelloReader::Status::Done: break;
  }
  channel_ = Channel::open_front(front_->choose(hello_.hello()), hello_.hello().alpn.empty() ? "" : protocol_, wishes_);
  if (!channel_) std::abort();
  std::span<const char> bytes(hello_.records());
  while (failure_ == Failure::None) {
    const std::optional<std::span<const char>> whole = channel_.next_record(bytes);
    if (!whole) return;
    on_record(*whole);
  }
}

void Gate::on_record(std::span<const char> record) {
  if (!done_) return shake_hands(record);
  std::string room(record.size(), '\0');
  const Channel::Read read = channel_.read(record, room, out_, pool_);
  plain_.append(room.data(), read.size);
  closed_ |= read.kind == Channel::Read::Kind::Closed;
  if (read.kind == Channel::Read::Kind::Failed) failure_ = channel_.failure();
}

void Gate::shake_hands(std::span<const char> record) {
  const Channel::Step step = channel_.shake_hands(record, out_, pool_);
  done_ = step == Channel::Step::Done;
  if (step == Channel::Step::Failed) failure_ = channel_.failure();
}

std::string Gate::take() {
  if (out_.waiting_size() == 0) return "";
  const std::span<const char> bytes = out_.launch();
  std::string cipher(bytes.data(), bytes.size());
  out_.landed(pool_, true);
  return cipher;
}

namespace {

template <typename End>
bool carry(End& end, std::string_view bytes, size_t piece) {
  const bool any = !bytes.empty();
  while (!bytes.empty()) {
    end.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  return any;
}

}  // namespace

void converse(Peer& peer, Gate& gate, size_t piece) {
  bool moved = true;
  while (moved) {
    if (!peer.done()) peer.shake_hands();
    moved = carry(gate, peer.take(), piece);
    moved |= carry(peer, gate.take(), piece);
  }
}

CertificatePem pem_of(const Leaf& leaf, const std::string& number) {
  return {"/etc/tls/" + number + ".crt", "/etc/tls/" + number + ".key", leaf.chain, Secret(leaf.key)};
}

std::unique_ptr<FrontContext> front_of(const std::vector<Leaf>& leaves, TicketKeys& tickets, Version min_version,
                                       const ClientTrust* clients) {
  std::vector<CertificatePem> pems;
  for (const Leaf& leaf : leaves)
    pems.push_back(pem_of(leaf, std::to_string(pems.size())));
  absl::StatusOr<std::unique_ptr<FrontContext>> front = FrontContext::load(pems, min_version, tickets, clients);
  if (!front.ok()) {
    ADD_FAILURE() << front.status().message();
    std::abort();
  }
  return *std::move(front);
}

const FrontContext& plain_front() {
  static TicketKeys tickets;
  static const std::unique_ptr<FrontContext> front =
      front_of({authority().issue({.dns = {"mail.example.test"}})}, tickets);
  return *front;
}

}  // namespace postern::tls::test
