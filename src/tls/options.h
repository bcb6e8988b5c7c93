// SPDX-License-Identifier: GPL-3.0-or-later
// The [tls] section: certificates and versions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"

namespace postern::tls {

enum class Version : uint8_t { Tls12, Tls13 };

struct CertificateOptions {
  std::string chain;  // PEM file: the certificate, then its intermediates
  std::string key;    // PEM file
};

struct Options {
  Version min_version = Version::Tls12;
  std::vector<CertificateOptions> certificates;  // the first is the default
  std::vector<std::string> folders;              // where more pairs are found; their first is the default without those
  // How often the files of all these are looked at; 0: only at a reload.
  Duration certificate_check = std::chrono::minutes(1);
  Duration expiry_warning = std::chrono::days(7);  // so long before a certificate runs out, the log says so once a day
  Duration ticket_rotation =
      std::chrono::hours(12);  // a new ticket key this often; the previous two still open tickets
  std::string ticket_keys;     // a file of keys that gates share; empty: random ones, rotated
};

}  // namespace postern::tls
