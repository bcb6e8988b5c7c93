// SPDX-License-Identifier: GPL-3.0-or-later
#include "daemon/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "base/secret.h"

namespace postern::daemon {
namespace {

// The usual place of the system's collection on Debian, and on Fedora and its kin.
constexpr const char* system_ca_files[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"};

// Larger than any chain or collection of CAs.
constexpr size_t pem_size_max = 8 << 20;

absl::StatusOr<Secret> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::NotFoundError(absl::StrFormat("%s: %s", path, strerror(errno)));
  std::string text;
  char part[16384];
  ssize_t size;
  while ((size = ::read(fd, part, sizeof part)) > 0 && text.size() < pem_size_max) {
    // Grown by hand, so that no shorter copy of a key is left behind by the string.
    std::string longer;
    longer.reserve(text.size() + static_cast<size_t>(size));
    longer.append(text).append(part, static_cast<size_t>(size));
    wipe(text);
    text = std::move(longer);
  }
  wipe(part, sizeof part);
  const int error = size < 0 ? errno : 0;
  ::close(fd);
  Secret contents = Secret::take(text);
  if (error != 0) return absl::InternalError(absl::StrFormat("%s: %s", path, strerror(error)));
  return contents;
}

void add_fault(std::string& faults, const absl::Status& status) {
  if (!faults.empty()) faults += "\n";
  faults += std::string(status.message());
}

void read_into(const std::string& path, std::string& text, std::string& faults) {
  absl::StatusOr<Secret> file = read_file(path);
  if (!file.ok()) return add_fault(faults, file.status());
  text = std::string(file->reveal());
}

// The common one, or that of a listener which asks for certificates.
absl::StatusOr<std::unique_ptr<tls::FrontContext>> build_front(const config::Config& config, tls::TicketKeys& tickets,
                                                               const session::ListenerOptions* listener) {
  std::vector<tls::CertificatePem> certificates;
  std::string faults;
  for (const tls::CertificateOptions& options : config.tls.certificates) {
    absl::StatusOr<Secret> chain = read_file(options.chain);
    absl::StatusOr<Secret> key = read_file(options.key);
    if (!chain.ok()) add_fault(faults, chain.status());
    if (!key.ok()) add_fault(faults, key.status());
    if (!chain.ok() || !key.ok()) continue;
    certificates.push_back({options.chain, options.key, std::string(chain->reveal()), *std::move(key)});
  }
  tls::ClientTrust clients;
  if (listener != nullptr) {
    clients.ca_name = listener->client_ca;
    clients.crl_name = listener->client_crl;
    read_into(listener->client_ca, clients.ca, faults);
    if (!listener->client_crl.empty()) read_into(listener->client_crl, clients.crl, faults);
  }
  if (!faults.empty()) return absl::NotFoundError(faults);
  return tls::FrontContext::load(certificates, config.tls.min_version, tickets,
                                 listener != nullptr ? &clients : nullptr);
}

absl::StatusOr<std::unique_ptr<tls::BackContext>> build_back(const session::PoolOptions& pool,
                                                             const config::Config& config) {
  tls::BackTrust trust;
  std::string faults;
  for (const std::string& pin : pool.tls_pins) {
    std::string& bytes = trust.pins.emplace_back();
    // The checker has looked at its length; a wrong letter shows here.
    if (!absl::Base64Unescape(pin, &bytes) || bytes.size() != tls::BackTrust::pin_size) {
      faults += absl::StrFormat("pool \"%s\": the pin %s is no SHA-256 in base64", pool.name, pin);
    }
  }
  if (!pool.tls_certificate.empty()) {
    trust.own.chain_name = pool.tls_certificate;
    trust.own.key_name = pool.tls_key;
    read_into(pool.tls_certificate, trust.own.chain, faults);
    absl::StatusOr<Secret> key = read_file(pool.tls_key);
    if (!key.ok()) add_fault(faults, key.status());
    if (key.ok()) trust.own.key = *std::move(key);
  }
  if (!faults.empty()) return absl::InvalidArgumentError(faults);
  // Pinned keys need no authority.
  if (!trust.pins.empty()) return tls::BackContext::load(trust, config.tls.min_version);
  std::string path = pool.tls_ca;
  if (path.empty()) {
    for (const char* candidate : system_ca_files) {
      if (::access(candidate, R_OK) == 0) path = candidate;
    }
  }
  if (path.empty()) {
    return absl::NotFoundError(
        absl::StrFormat("pool \"%s\" uses TLS, but there is no collection of CA certificates on this machine: install "
                        "ca-certificates, or name a file with `tls_ca`",
                        pool.name));
  }
  absl::StatusOr<Secret> ca = read_file(path);
  if (!ca.ok()) return ca.status();
  trust.ca_name = path;
  trust.ca = std::string(ca->reveal());
  return tls::BackContext::load(trust, config.tls.min_version);
}

std::string machine_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? std::string(name) : std::string("localhost");
}

}  // namespace

absl::StatusOr<std::shared_ptr<const session::Setup>> build_setup(const config::Config& config,
                                                                  tls::TicketKeys& tickets) {
  auto setup = std::make_shared<session::Setup>();
  setup->options = config.session;
  if (setup->options.hostname.empty()) setup->options.hostname = machine_name();
  setup->mode = config.auth.mode;
  absl::StatusOr<std::unique_ptr<tls::FrontContext>> front = build_front(config, tickets, nullptr);
  if (!front.ok()) return front.status();
  setup->front_tls = *std::move(front);
  for (const session::ListenerOptions& listener : config.session.listeners) {
    std::unique_ptr<tls::FrontContext>& own = setup->client_tls.emplace_back();
    if (listener.client_ca.empty()) continue;
    front = build_front(config, tickets, &listener);
    if (!front.ok()) return front.status();
    own = *std::move(front);
  }
  for (const session::PoolOptions& options : config.session.pools) {
    session::Pool pool{options, nullptr, session::view_of(options)};
    // A pool in clear that names its CA says so for the users whose route asks for TLS.
    if (options.tls != auth::BackTls::None || !options.tls_ca.empty() || !options.tls_pins.empty()) {
      absl::StatusOr<std::unique_ptr<tls::BackContext>> back = build_back(options, config);
      if (!back.ok()) return back.status();
      pool.tls = *std::move(back);
    }
    setup->pools.emplace(options.name, std::move(pool));
  }
  return std::shared_ptr<const session::Setup>(std::move(setup));
}

}  // namespace postern::daemon
