// SPDX-License-Identifier: GPL-3.0-or-later
#include "daemon/setup.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "base/secret.h"
#include "certificates/files.h"

namespace postern::daemon {
namespace {

// The usual place of the system's collection on Debian, and on Fedora and its kin.
constexpr const char* system_ca_files[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"};

void add_fault(std::string& faults, const absl::Status& status) {
  if (!faults.empty()) faults += "\n";
  faults += std::string(status.message());
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
    absl::StatusOr<tls::CertificatePem> own = certificates::read({pool.tls_certificate, pool.tls_key});
    if (!own.ok()) add_fault(faults, own.status());
    if (own.ok()) trust.own = *std::move(own);
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
  absl::StatusOr<Secret> ca = certificates::read(path);
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

certificates::Store store_of(const config::Config& config, tls::TicketKeys& tickets) {
  std::vector<certificates::ClientFiles> clients;
  for (const session::ListenerOptions& listener : config.session.listeners)
    clients.push_back({listener.client_ca, listener.client_crl});
  return certificates::Store(config.tls, std::move(clients), tickets);
}

absl::StatusOr<std::shared_ptr<const session::Setup>> build_setup(const config::Config& config,
                                                                  const certificates::Store& store) {
  auto setup = std::make_shared<session::Setup>();
  setup->options = config.session;
  if (setup->options.hostname.empty()) setup->options.hostname = machine_name();
  setup->mode = config.auth.mode;
  setup->front_tls = store.common();
  setup->client_tls = store.of_listeners();
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

std::shared_ptr<const session::Setup> with_certificates_of(const certificates::Store& store,
                                                           const session::Setup& former) {
  auto setup = std::make_shared<session::Setup>(former);
  setup->front_tls = store.common();
  setup->client_tls = store.of_listeners();
  return setup;
}

}  // namespace postern::daemon
