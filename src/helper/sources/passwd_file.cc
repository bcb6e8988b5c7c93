// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/passwd_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/secret_buffer.h"
#include "helper/names.h"
#include "helper/sources/dovecot_fields.h"

namespace postern::helper {
namespace {

constexpr auto settle_time = std::chrono::milliseconds(250);
// A million users with long fields; a larger file wants a database.
constexpr size_t file_size_max = 256 << 20;
// How far back a gate may have missed a change: longer than it keeps entries.
constexpr int64_t recent_s = 3600;

// Takes the text up to `separator` off the front.
std::string_view cut(std::string_view& text, char separator) {
  const std::string_view piece = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(text.size(), piece.size() + 1));
  return piece;
}

}  // namespace

PasswdTable parse_passwd(std::string_view text) {
  PasswdTable table;
  for (uint32_t number = 1; !text.empty(); ++number) {
    std::string_view line = cut(text, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#') || line.starts_with(':')) continue;
    const bool whole = line.find(':') != line.npos;
    const std::string_view user = cut(line, ':');
    table.try_emplace(folded(user), PasswdLine{number, whole, Secret(line)});
  }
  return table;
}

absl::StatusOr<Entry> parse_passwd_line(const PasswdLine& line) {
  if (!line.whole) return absl::InvalidArgumentError("the line has no colon behind the user's name");
  std::string_view rest = line.rest.reveal();
  Entry entry;
  entry.hash = Secret(cut(rest, ':'));
  for (const char* column : {"uid", "gid", "gecos", "home", "shell"}) {
    static_cast<void>(column);
    cut(rest, ':');
  }
  DovecotFields dovecot;
  while (!rest.empty()) {
    const std::string_view field = cut(rest, ' ');
    if (field.empty()) continue;
    std::string_view value = field;
    const std::string_view key = cut(value, '=');
    if (const absl::Status status = dovecot.take(key, value, entry); !status.ok()) return status;
  }
  if (const absl::Status status = dovecot.finish(entry.route); !status.ok()) return status;
  if (const absl::Status status = check_route(entry.route); !status.ok()) return status;
  return entry;
}

PasswdFile::PasswdFile(PasswdFileOptions options)
    : options_(std::move(options)), name_("passwd-file:" + options_.file) {}

Lookup PasswdFile::find(const Asked& asked) {
  PasswdLine line;
  {
    const std::lock_guard guard(lock_);
    refresh();
    if (!fault_.empty()) return SourceFailure{fault_};
    const auto found = table_.find(asked.user);
    if (found == table_.end()) return UnknownUser{};
    line = {found->second.number, found->second.whole, found->second.rest.clone()};
  }
  absl::StatusOr<Entry> entry = parse_passwd_line(line);
  if (entry.ok()) return one_entry(*std::move(entry));
  return SourceFailure{options_.file + ":" + std::to_string(line.number) + ": " +
                       std::string(entry.status().message())};
}

void PasswdFile::refresh() {
  struct stat status;
  if (stat(options_.file.c_str(), &status) != 0) {
    fault_ = "cannot read " + options_.file + ": " + strerror(errno);
    loaded_ = {};
    return;
  }
  const auto ns = [](const timespec& time) { return int64_t{time.tv_sec} * 1000000000 + time.tv_nsec; };
  const Signature seen{status.st_dev, status.st_ino, static_cast<uint64_t>(status.st_size), ns(status.st_mtim),
                       ns(status.st_ctim)};
  if (seen == loaded_) return;
  if (seen.inode != loaded_.inode || seen.device != loaded_.device) return load(seen);
  const Clock::time_point now = Clock::now();
  if (seen != pending_) {
    pending_ = seen;
    pending_since_ = now;
  }
  if (now - pending_since_ >= settle_time) load(seen);
}

void PasswdFile::load(const Signature& seen) {
  fault_.clear();
  const int descriptor = open(options_.file.c_str(), O_RDONLY | O_CLOEXEC);
  SecretBuffer text;
  ssize_t size = -1;
  if (descriptor >= 0) {
    std::array<char, 65536> block;
    while ((size = read(descriptor, block.data(), block.size())) > 0 && text.size() <= file_size_max) {
      text.append({block.data(), static_cast<size_t>(size)});
    }
    wipe(block.data(), block.size());
  }
  if (size < 0) fault_ = "cannot read " + options_.file + ": " + strerror(errno);
  if (text.size() > file_size_max) fault_ = options_.file + " is larger than 256 MiB";
  if (descriptor >= 0) close(descriptor);
  if (!fault_.empty()) {
    loaded_ = {};
    return;
  }
  PasswdTable table = parse_passwd(text.reveal());
  if (ever_loaded_) note_changes(table);
  table_ = std::move(table);
  ever_loaded_ = true;
  loaded_ = seen;
}

// Both tables are in order of names: one walk finds who came, went or changed.
void PasswdFile::note_changes(const PasswdTable& table) {
  auto old = table_.cbegin();
  auto now = table.cbegin();
  while (old != table_.cend() || now != table.cend()) {
    if (now == table.cend() || (old != table_.cend() && old->first < now->first)) {
      changes_.users.push_back((old++)->first);
    } else if (old == table_.cend() || now->first < old->first) {
      changes_.users.push_back((now++)->first);
    } else {
      if (old->second.whole != now->second.whole || !(old->second.rest == now->second.rest))
        changes_.users.push_back(now->first);
      ++old;
      ++now;
    }
  }
}

Changes PasswdFile::poll() {
  const std::lock_guard guard(lock_);
  refresh();
  return std::exchange(changes_, {});
}

Changes PasswdFile::recent() {
  struct stat status;
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const bool known = stat(options_.file.c_str(), &status) == 0;
  return {.all = !known || now.tv_sec - status.st_ctim.tv_sec < recent_s, .users = {}};
}

absl::Status PasswdFile::check() {
  const std::lock_guard guard(lock_);
  refresh();
  if (!fault_.empty()) return absl::UnavailableError(fault_ + ".");
  std::string faults;
  for (const auto& [user, line] : table_) {
    const absl::StatusOr<Entry> entry = parse_passwd_line(line);
    if (entry.ok()) continue;
    faults += (faults.empty() ? "" : "\n") + options_.file + ":" + std::to_string(line.number) + ": " +
              std::string(entry.status().message()) + ".";
  }
  return faults.empty() ? absl::OkStatus() : absl::InvalidArgumentError(faults);
}

}  // namespace postern::helper
