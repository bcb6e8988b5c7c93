// SPDX-License-Identifier: GPL-3.0-or-later
// The embedded database as a source of users.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "helper/sources/source.h"
#include "helper/sources/user_store.h"

namespace postern::helper {

struct SqliteOptions {
  std::string database = "/var/lib/postern/users.db";
  uint32_t busy_timeout_ms = 2000;  // well within the time that the gate waits for an answer
};

// Keeps as many connections as there were questions at one time, and one for poll(). When the file at the path becomes
// another one (restored from a backup, say), the connections are made anew.
class SqliteSource : public Source {
 public:
  explicit SqliteSource(SqliteOptions options);

  const std::string& name() const override { return name_; }
  bool is_local() const override { return true; }
  Lookup find(const Asked& asked) override;
  Changes poll() override;
  Changes recent() override;
  void upgrade(const std::string& user, const Secret& old, Secret fresh) override;
  absl::Status check() override;

 private:
  // Which file a connection reads.
  struct FileId {
    uint64_t device = 0, inode = 0;
    friend bool operator==(const FileId&, const FileId&) = default;
  };
  struct Connection {
    FileId file;
    UserStore store;
  };

  FileId current_file() const;
  absl::StatusOr<std::unique_ptr<Connection>> take();
  void give_back(std::unique_ptr<Connection> connection);
  // The watching connection, opened if need be; nullptr: the database cannot be opened now.
  Connection* watch();

  const SqliteOptions options_;
  const std::string name_;
  std::mutex lock_;
  std::vector<std::unique_ptr<Connection>> idle_;
  // poll()'s own.
  std::unique_ptr<Connection> watch_;
  int64_t seen_version_ = 0;
  int64_t seen_id_ = 0;
  bool lost_sight_ = false;  // the database was away or became another one: nobody knows what has changed
};

}  // namespace postern::helper
