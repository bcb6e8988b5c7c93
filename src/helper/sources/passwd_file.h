// SPDX-License-Identifier: GPL-3.0-or-later
// A file of users, one a line, in the layouts of Dovecot's passwd-file and of htpasswd:
//
//   user:password
//   user:password:uid:gid:gecos:home:shell:field=value field=value ...
//
// Lines that begin with # and empty ones are skipped; of two lines for one user the first counts. Of the eight columns
// the user, the password and the extra fields matter here. Extra fields are the attributes of route.h, `disabled`, and
// these of Dovecot's proxying: host, hostip, port, ssl, starttls, destuser, user, master, pass, proxy_mech, allow_nets,
// nologin. Others that could not change who gets in or where to are passed over; any other makes the user's entry
// broken, and a broken entry is a failure for that user, never a mismatch.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "helper/sources/source.h"

namespace postern::helper {

// What follows the name on a user's line.
struct PasswdLine {
  uint32_t number = 0;  // from 1
  bool whole = false;   // there is a colon behind the name
  Secret rest;          // "password:uid:...", without the name and its colon
};

// By folded name.
using PasswdTable = std::map<std::string, PasswdLine, std::less<>>;

// Lines without a name belong to nobody and are passed over. A line without a colon is a user whose entry is broken.
PasswdTable parse_passwd(std::string_view text);

// The entry of one line. A Status says what is broken, without the line's secrets.
absl::StatusOr<Entry> parse_passwd_line(const PasswdLine& line);

struct PasswdFileOptions {
  std::string file;
};

// Reads the file again when it changes. A file that was replaced (renamed into its place) counts at once; one that is
// being written in place counts when it has been still for a quarter of a second, so that nobody is looked up in half
// a file.
class PasswdFile : public Source {
 public:
  explicit PasswdFile(PasswdFileOptions options);

  const std::string& name() const override { return name_; }
  bool is_local() const override { return true; }
  Lookup find(const Asked& asked) override;
  Changes poll() override;
  Changes recent() override;
  absl::Status check() override;

 private:
  using Clock = std::chrono::steady_clock;

  // What stat() says of a file; another one means other contents.
  struct Signature {
    uint64_t device = 0, inode = 0, size = 0;
    int64_t modified_ns = 0, changed_ns = 0;
    friend bool operator==(const Signature&, const Signature&) = default;
  };

  // Under the lock: brings the table up to date.
  void refresh();
  void load(const Signature& seen);
  void note_changes(const PasswdTable& table);

  const PasswdFileOptions options_;
  const std::string name_;
  std::mutex lock_;
  PasswdTable table_;
  std::string fault_;  // not empty: the file cannot be read, and the table counts for nothing
  bool ever_loaded_ = false;
  Signature loaded_;   // of the table; all zero: there is none, or it counts for nothing
  Signature pending_;  // seen, but perhaps still being written
  Clock::time_point pending_since_;
  Changes changes_;  // since the last poll()
};

}  // namespace postern::helper
