// SPDX-License-Identifier: GPL-3.0-or-later
// What the TLS library shares between sessions: certificates for the front, trust for the back. Built at start and at
// each reload, immutable afterwards, used by all reactors at once.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "base/secret.h"
#include "tls/client_hello.h"
#include "tls/options.h"
#include "tls/tickets.h"

struct WOLFSSL_CTX;

namespace postern::tls {

// Must be called once before anything else of this folder, from one thread.
void start_library();

struct ContextFree {
  void operator()(WOLFSSL_CTX* context) const;
};
using ContextPointer = std::unique_ptr<WOLFSSL_CTX, ContextFree>;

// One certificate file as read from disk, with the names it stands for in messages.
struct CertificatePem {
  std::string chain_name, key_name;
  std::string chain;
  Secret key;
};

// One certificate with its key, ready to serve.
struct Certificate {
  enum class Kind : uint8_t { Ecdsa, Rsa };
  ContextPointer context;
  Kind kind = Kind::Ecdsa;
  std::vector<std::string> names;  // DNS names of the certificate, lower case, wildcards as written
};

class FrontContext {
 public:
  // Every fault of every certificate in one message: which file, what is wrong, what to do. `tickets` must outlive the
  // context and all its sessions.
  static absl::StatusOr<std::unique_ptr<FrontContext>> load(const std::vector<CertificatePem>& certificates,
                                                            Version min_version, TicketKeys& tickets);

  // The certificate for this mail program: by its name, else by the wildcard above it, else the default name's; of an
  // ECDSA and an RSA certificate for one name the ECDSA one if the mail program can verify it.
  const Certificate& choose(const ClientHello& hello) const;

  size_t size() const { return certificates_.size(); }

 private:
  struct Pair {
    const Certificate* ecdsa = nullptr;
    const Certificate* rsa = nullptr;
    const Certificate& choose(bool verifies_ecdsa) const;
    void add(const Certificate& certificate);
  };

  std::vector<std::unique_ptr<Certificate>> certificates_;
  absl::flat_hash_map<std::string, Pair> by_name_;  // wildcards as "*.example.test"
  Pair default_;
};

// How to verify mail servers of one pool.
class BackContext {
 public:
  // `ca` is PEM text, `ca_name` its file.
  static absl::StatusOr<std::unique_ptr<BackContext>> load(std::string_view ca, std::string_view ca_name,
                                                           Version min_version);
  WOLFSSL_CTX* context() const { return context_.get(); }

 private:
  ContextPointer context_;
};

}  // namespace postern::tls
