// SPDX-License-Identifier: GPL-3.0-or-later
#include "certificates/files.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "config/files.h"
#include "tls/pem.h"
#include "tls/tickets.h"

namespace postern::certificates {
namespace {

namespace fs = std::filesystem;

// Larger than any chain, collection of CAs or revocation list of a site.
constexpr size_t pem_size_max = 8 << 20;

constexpr int64_t ns_per_s = 1'000'000'000;

struct Listing {
  std::set<std::string> files, folders;
};

absl::StatusOr<Listing> list(const std::string& folder) {
  Listing listing;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.starts_with('.')) continue;
    std::error_code broken_link;
    (entry->is_directory(broken_link) ? listing.folders : listing.files).insert(name);
  }
  if (!error) return listing;
  return absl::NotFoundError(
      absl::StrFormat("%s cannot be listed: %s. Correct the path, or let the user who starts "
                      "Postern list it.",
                      folder, error.message()));
}

void add_pairs(const std::string& folder, const std::set<std::string>& files,
               std::vector<tls::CertificateOptions>& pairs) {
  const auto add = [&](const std::string& chain, const std::string& key) {
    if (pairs.size() < folder_pairs_max) pairs.push_back({folder + "/" + chain, folder + "/" + key});
  };
  if (files.contains("fullchain.pem") && files.contains("privkey.pem")) return add("fullchain.pem", "privkey.pem");
  std::string last_key;
  for (const std::string& name : files) {
    const std::string ending = fs::path(name).extension();
    if (ending != ".cer" && ending != ".crt" && ending != ".pem") continue;
    const std::string key = name.substr(0, name.size() - ending.size()) + ".key";
    if (!files.contains(key)) {
      if (ending == ".pem") add(name, name);
    } else if (std::exchange(last_key, key) != key) {
      add(name, key);
    }
  }
}

}  // namespace

absl::StatusOr<Secret> read(const std::string& path) {
  config::FileText file = config::read_file(path, pem_size_max);
  Secret contents = Secret::take(file.bytes);
  if (!file.fault.empty()) return absl::NotFoundError(path + " " + file.fault);
  return contents;
}

absl::StatusOr<std::vector<Secret>> read_ticket_keys(const std::string& path) {
  struct stat state;
  if (::stat(path.c_str(), &state) == 0 && (state.st_mode & (S_IWGRP | S_IRWXO)) != 0) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "%s can be read by others or written by its group, and whoever has these keys reads recorded sessions. "
        "Run: chown root:postern %s && chmod 640 %s",
        path, path, path));
  }
  absl::StatusOr<Secret> contents = read(path);
  if (!contents.ok()) return contents.status();
  std::vector<Secret> keys;
  size_t number = 0;
  for (std::string_view rest = contents->reveal(); !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    ++number;
    if (line.empty() || line.starts_with('#')) continue;
    std::string bytes;
    const bool decoded = absl::Base64Unescape(absl::string_view(line.data(), line.size()), &bytes);
    Secret key = Secret::take(bytes);
    if (!decoded || key.reveal().size() != tls::TicketKeys::shared_size) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s:%d: this is no key of %d bytes in base64. Make one with: openssl rand -base64 %d", path,
                          number, tls::TicketKeys::shared_size, tls::TicketKeys::shared_size));
    }
    keys.push_back(std::move(key));
  }
  if (keys.empty()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s has no key. Make one with: openssl rand -base64 %d", path, tls::TicketKeys::shared_size));
  }
  if (keys.size() > ticket_keys_max) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s has %d keys; keep the newest %d at most", path, keys.size(), ticket_keys_max));
  }
  return keys;
}

absl::StatusOr<tls::CertificatePem> read(const tls::CertificateOptions& pair) {
  absl::StatusOr<Secret> chain = read(pair.chain);
  absl::StatusOr<Secret> key = pair.key == pair.chain && chain.ok() ? chain->clone() : read(pair.key);
  if (!chain.ok() && !key.ok() && pair.key != pair.chain) {
    return absl::NotFoundError(absl::StrFormat("%s\n%s", chain.status().message(), key.status().message()));
  }
  if (!chain.ok()) return chain.status();
  if (!key.ok()) return key.status();
  return tls::CertificatePem{pair.chain, pair.key, tls::certificates_alone(chain->reveal()), *std::move(key)};
}

Stamp Stamp::of(const std::string& path) {
  struct stat status {};
  Stamp stamp;
  if (::stat(path.c_str(), &status) != 0) return stamp;
  stamp.device_ = status.st_dev;
  stamp.inode_ = status.st_ino;
  stamp.size_ = static_cast<uint64_t>(status.st_size);
  stamp.modified_ns_ = status.st_mtim.tv_sec * ns_per_s + status.st_mtim.tv_nsec;
  stamp.changed_ns_ = status.st_ctim.tv_sec * ns_per_s + status.st_ctim.tv_nsec;
  return stamp;
}

absl::StatusOr<std::vector<tls::CertificateOptions>> pairs_in(const std::string& folder) {
  absl::StatusOr<Listing> listing = list(folder);
  if (!listing.ok()) return listing.status();
  std::vector<tls::CertificateOptions> pairs;
  add_pairs(folder, listing->files, pairs);
  for (const std::string& name : listing->folders) {
    const std::string below = folder + "/" + name;
    // One that is closed to us belongs to something else.
    if (absl::StatusOr<Listing> inner = list(below); inner.ok()) add_pairs(below, inner->files, pairs);
  }
  return pairs;
}

}  // namespace postern::certificates
