// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol/sasl/scram.h"

#include <algorithm>
#include <utility>

#include "protocol/sasl/base64.h"
#include "protocol/sasl/message.h"

namespace postern::sasl {
namespace {

// Ours and theirs. 18 random octets are 24 printable ones; a nonce of theirs is about as long.
constexpr size_t nonce_octets = 18;
constexpr size_t nonce_size_max = 256;

std::string_view view(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// "r=abc" of a list that is separated by commas; moves `message` behind it.
std::optional<std::string_view> take_attribute(std::string_view& message, char name) {
  if (message.size() < 2 || message[0] != name || message[1] != '=') return std::nullopt;
  const size_t comma = message.find(',');
  const std::string_view value = message.substr(2, comma == message.npos ? comma : comma - 2);
  message = comma == message.npos ? std::string_view() : message.substr(comma + 1);
  return value;
}

// A helper may know a user in whichever case he is written (postern-auth does), and has one salt for him then.
std::string folded(std::string_view user) {
  std::string lower(user);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// printable = %x21-2B / %x2D-7E
bool is_nonce(std::string_view text) {
  return !text.empty() && text.size() <= nonce_size_max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != ','; });
}

}  // namespace

Scram::Scram(const Primitives& primitives, std::span<const ChannelBinding> bindings, bool plus)
    : primitives_(primitives), bindings_(bindings), plus_(plus) {}

// gs2-header = gs2-cbind-flag "," [ authzid ] ","
bool Scram::read_header(std::string_view& message) {
  const std::string_view whole = message;
  const size_t comma = message.find(',');
  if (comma == message.npos) return false;
  const std::string_view flag = message.substr(0, comma);
  message.remove_prefix(comma + 1);
  if (flag.starts_with("p=")) {
    const auto found = std::find_if(bindings_.begin(), bindings_.end(),
                                    [&](const ChannelBinding& binding) { return binding.type == flag.substr(2); });
    if (!plus_ || found == bindings_.end()) return false;
    binding_ = found->bytes;
  } else {
    // "y": it could bind, but thinks that we cannot. If we have said that we can, somebody took that out of the list
    // (RFC 5802, section 6).
    if (plus_ || (flag != "n" && flag != "y") || (flag == "y" && !bindings_.empty())) return false;
  }
  const size_t end = message.find(',');
  if (end == message.npos) return false;
  std::string_view authzid = message.substr(0, end);
  message.remove_prefix(end + 1);
  if (!authzid.empty()) {
    if (!authzid.starts_with("a=")) return false;
    std::optional<std::string> name = read_saslname(authzid.substr(2));
    if (!name) return false;
    authzid_ = *std::move(name);
  }
  header_ = whole.substr(0, whole.size() - message.size());
  return true;
}

bool Scram::first(std::string_view message) {
  if (!read_header(message)) return false;
  first_bare_ = message;
  // "m=" in front would be an extension that we must know and do not.
  const std::optional<std::string_view> name = take_attribute(message, 'n');
  const std::optional<std::string_view> nonce = take_attribute(message, 'r');
  if (!name || !nonce || !is_nonce(*nonce)) return false;
  std::optional<std::string> user = read_saslname(*name);
  if (!user || user->empty()) return false;
  user_ = *std::move(user);
  if (authzid_ == user_) authzid_.clear();
  nonce_ = *nonce;
  return true;
}

std::string Scram::challenge(const ScramKeys* keys) {
  std::array<char, nonce_octets> fresh;
  primitives_.random(fresh);
  nonce_ += base64_encode({fresh.data(), fresh.size()});
  known_ = keys != nullptr;
  std::string salt;
  uint32_t iterations = ScramKeys::iterations_usual;
  if (known_) {
    salt = keys->salt;
    iterations = keys->iterations;
    stored_key_ = keys->stored_key.clone();
    server_key_ = keys->server_key.clone();
  } else {
    salt = view(primitives_.hmac_sha256(primitives_.pepper(), folded(user_))).substr(0, ScramKeys::salt_size_usual);
    const Sha256 nobody = primitives_.hmac_sha256(primitives_.pepper(), salt);
    stored_key_ = Secret(view(nobody));
    server_key_ = Secret(view(nobody));
  }
  server_first_ = "r=" + nonce_ + ",s=" + base64_encode(salt) + ",i=" + std::to_string(iterations);
  return server_first_;
}

// c=base64(gs2-header + binding),r=nonce,p=base64(proof); extensions may stand before the proof.
Scram::Proof Scram::last(std::string_view message) {
  const size_t proof_at = message.rfind(",p=");
  if (proof_at == message.npos) return Proof::Malformed;
  const std::string_view without_proof = message.substr(0, proof_at);
  std::string_view rest = without_proof;
  const std::optional<std::string_view> bound = take_attribute(rest, 'c');
  const std::optional<std::string_view> nonce = take_attribute(rest, 'r');
  std::string proof;
  if (!bound || !nonce || !base64_decode(message.substr(proof_at + 3), proof) || proof.size() != sha256_size) {
    return Proof::Malformed;
  }
  if (*bound != base64_encode(header_ + std::string(binding_)) || *nonce != nonce_) return Proof::Wrong;
  const std::string signed_text = first_bare_ + "," + server_first_ + "," + std::string(without_proof);
  const Sha256 signature = primitives_.hmac_sha256(stored_key_.reveal(), signed_text);
  std::string client_key(sha256_size, '\0');
  for (size_t i = 0; i < sha256_size; ++i)
    client_key[i] = static_cast<char>(static_cast<uint8_t>(proof[i]) ^ signature[i]);
  wipe(proof);
  const bool right = Secret(view(primitives_.sha256(client_key))) == stored_key_;
  wipe(client_key);
  if (!right || !known_) return Proof::Wrong;
  server_final_ = "v=" + base64_encode(view(primitives_.hmac_sha256(server_key_.reveal(), signed_text)));
  return Proof::Right;
}

}  // namespace postern::sasl
