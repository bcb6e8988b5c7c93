// SPDX-License-Identifier: GPL-3.0-or-later
// What the TLS library shares between sessions: certificates for the front, trust for the back. Built at start and at
// each reload, immutable afterwards, used by all reactors at once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "tls/certificate.h"
#include "tls/client_hello.h"
#include "tls/options.h"
#include "tls/tickets.h"

namespace postern::tls {

// Must be called once before anything else of this folder, from one thread.
void start_library();

// Who vouches for the certificates of mail programs. All texts are PEM, with one block or several; what stands in them
// and has run out counts for nothing.
struct ClientTrust {
  std::string ca_name, ca;
  // Revocation lists; without name and text nothing is revoked. With one, every certificate that a mail program sends
  // must have a list of its issuer, those of intermediates too.
  std::string crl_name, crl;
};

// Something that runs out, and the file it came from.
struct Expiry {
  int64_t not_after = 0;  // in seconds since 1970
  std::string file_name;
};

// A pair that is ready to be shown, or one sentence: which file, what is wrong, what to do. `tickets` must outlive it and
// all its sessions.
absl::StatusOr<std::unique_ptr<Certificate>> load_certificate(const CertificatePem& pem, Version min_version,
                                                              TicketKeys& tickets);

class FrontContext {
 public:
  // For mail programs that are not asked for a certificate. The first of the certificates is the default's; they may be
  // those of other such contexts, too.
  explicit FrontContext(std::vector<std::shared_ptr<const Certificate>> certificates);

  // Every fault of every file in one message: which file, what is wrong, what to do. `tickets` must outlive the context
  // and all its sessions.
  //
  // With `clients`, mail programs are asked for a certificate. One without goes on; one whose certificate does not
  // verify does not. There are no session tickets then: a resumed session would come without its certificate.
  static absl::StatusOr<std::unique_ptr<FrontContext>> load(const std::vector<CertificatePem>& pems,
                                                            Version min_version, TicketKeys& tickets,
                                                            const ClientTrust* clients = nullptr);

  // The certificate for this mail program: by its name, else by the wildcard above it, else the default name's; of an
  // ECDSA and an RSA certificate for one name the ECDSA one if the mail program can verify it.
  const Certificate& choose(const ClientHello& hello) const;

  size_t size() const { return certificates_.size(); }

  // Which authority or revocation list of `clients` runs out first; it may be over already. Nullopt: there is none.
  const std::optional<Expiry>& trust_expiry() const { return trust_expiry_; }

 private:
  struct Pair {
    const Certificate* ecdsa = nullptr;
    const Certificate* rsa = nullptr;
    const Certificate& choose(bool verifies_ecdsa) const;
    void add(const Certificate& certificate);
  };

  void note_expiry(std::optional<int64_t> not_after, const std::string& file_name);

  std::vector<std::shared_ptr<const Certificate>> certificates_;
  absl::flat_hash_map<std::string, Pair> by_name_;  // wildcards as "*.example.test"
  Pair default_;
  std::optional<Expiry> trust_expiry_;
};

// For connections whose handshake is over already: it has no certificate and verifies nobody. One a side and process.
WOLFSSL_CTX* thawing_context(bool is_front);

// Which mail servers are believed, and what they are shown.
struct BackTrust {
  static constexpr size_t pin_size = 32;

  std::string ca_name, ca;  // PEM text
  // SHA-256 digests of SubjectPublicKeyInfos (RFC 7469, section 2.4). With any, a mail server must have one of these
  // keys, and neither its name, nor its certificate's issuer or dates matter; `ca` may be empty then.
  std::vector<std::string> pins;
  // Shown to a mail server that asks for a certificate. Without a chain: none.
  CertificatePem own;
};

// How to verify mail servers of one pool.
class BackContext {
 public:
  static absl::StatusOr<std::unique_ptr<BackContext>> load(const BackTrust& trust, Version min_version);

  WOLFSSL_CTX* context() const { return context_.get(); }
  // One of its own for each context that this process ever had.
  uint64_t id() const { return id_; }
  const std::vector<std::string>& pins() const { return pins_; }

 private:
  ContextPointer context_;
  uint64_t id_ = 0;
  std::vector<std::string> pins_;
};

}  // namespace postern::tls
