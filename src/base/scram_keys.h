// SPDX-License-Identifier: GPL-3.0-or-later
// What a helper stores of a user instead of his password, so that SCRAM-SHA-256 can be verified (RFC 5802, section 3).
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/secret.h"

namespace postern {

struct ScramKeys {
  static constexpr uint32_t iterations_min = 4096;      // RFC 7677, section 4
  static constexpr uint32_t iterations_max = 10000000;  // mail programs would take a minute
  static constexpr size_t salt_size_max = 128;
  static constexpr size_t key_size = 32;  // SHA-256
  // What postern-auth makes, and the gate says to strangers, who must not be told apart. As with its other schemes, 50
  // guesses take a good second of a core.
  static constexpr uint32_t iterations_usual = 100000;
  static constexpr size_t salt_size_usual = 16;

  uint32_t iterations = 0;
  std::string salt;   // bytes, not base64
  Secret stored_key;  // key_size bytes
  Secret server_key;

  ScramKeys clone() const { return {iterations, salt, stored_key.clone(), server_key.clone()}; }
};

}  // namespace postern
