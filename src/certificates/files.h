// SPDX-License-Identifier: GPL-3.0-or-later
// Files that hold certificates and keys: read as secrets, known again without being read, and found in folders.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/secret.h"
#include "tls/certificate.h"
#include "tls/options.h"

namespace postern::certificates {

// The whole file, or one sentence that names it and says what to do. A pipe or a device is a fault, never a wait.
absl::StatusOr<Secret> read(const std::string& path);
// The same for a pair, which may stand in one file. The chain holds nothing but certificates.
absl::StatusOr<tls::CertificatePem> read(const tls::CertificateOptions& pair);

// More keys than one for each hour of a ticket's life are a mistake.
inline constexpr size_t ticket_keys_max = 32;

// The keys of a file for [tls] ticket_keys, decoded; at least one. A file that others may read or the group may write is
// a fault. Lines that are empty or begin with "#" are passed over.
absl::StatusOr<std::vector<Secret>> read_ticket_keys(const std::string& path);

// Tells one state of a file from another by its place, size and times. A file that is not there has a state, too.
class Stamp {
 public:
  static Stamp of(const std::string& path);
  bool exists() const { return inode_ != 0; }
  friend bool operator==(const Stamp& a, const Stamp& b) = default;

 private:
  uint64_t device_ = 0, inode_ = 0, size_ = 0;
  int64_t modified_ns_ = 0, changed_ns_ = 0;
};

// More pairs in one folder are left out: a gate does not serve a million names.
inline constexpr size_t folder_pairs_max = 20000;

// The pairs in a folder and in the folders right below it, by their names in alphabetical order. In each of these
// folders, fullchain.pem and privkey.pem are a pair, and then nothing else in it is (certbot, dehydrated); else X.crt,
// X.pem or X.cer with X.key; else X.pem alone, which holds both (HAProxy). Names that begin with a dot are passed over.
// What cannot be listed is a fault.
absl::StatusOr<std::vector<tls::CertificateOptions>> pairs_in(const std::string& folder);

}  // namespace postern::certificates
