// SPDX-License-Identifier: GPL-3.0-or-later
// UserStore: the embedded database of users, as the daemon reads it and `postern-auth user` changes it.
//
// The schema, which is made on first use and is the administrator's to fill by other means as well:
//
//   users    user      TEXT, the key, compared without regard to ASCII case
//            password  TEXT, a hash with or without {SCHEME}; see passwords.h
//            disabled  INTEGER, 0 or 1
//            and one column, TEXT or INTEGER, for each attribute of route.h, under the attribute's name; NULL: not said
//   app_passwords
//            user, label  the key, both compared without regard to ASCII case; more passwords of a user of the table
//                     users, who is there: a trigger looks. They go away with him, and follow when his name changes
//            password, allow_protocols, allow_nets, expires  as in users, of this password alone
//   changes  id, user, at: a row for each insert, update and delete of the others, written by triggers, so that a change
//            by any program reaches the gates' caches. Rows older than a day go away.
//
// The file is in WAL mode and has mode 0640: it holds hashes. A file that root makes gets the owner and group of its
// folder, so that the daemon can use it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/secret.h"
#include "helper/route.h"
#include "helper/sources/sqlite.h"

namespace postern::helper {

struct UserRecord {
  std::string user;
  Secret hash;
  bool disabled = false;
  Route route;
};

// A password that a user has besides his own, for one of his programs.
struct AppPassword {
  static constexpr size_t count_max = 15;  // of a user; a login looks at them all
  static constexpr size_t label_size_max = 64;

  std::string user;
  std::string label;
  Secret hash;
  Route limits;  // allow_protocols, allow_nets and expires; nothing else of it counts
};

// What app_passwords has of a route, in the order of the columns.
inline constexpr std::string_view app_attributes[] = {"allow_protocols", "allow_nets", "expires"};

// Names in the order of their change, and the number to ask from the next time.
struct ChangedUsers {
  std::vector<std::string> users;
  bool gap = false;  // more has changed than is named here
  int64_t last_id = 0;
};

// One connection; used by one thread at a time.
class UserStore {
 public:
  // Opens the file, makes it if it is not there, and makes or checks the schema. NotFoundError: the folder is missing.
  static absl::StatusOr<UserStore> open(const std::string& path, uint32_t busy_ms);

  // nullopt: nobody of that name.
  absl::StatusOr<std::optional<UserRecord>> find(std::string_view user);
  // AlreadyExistsError if the user is there.
  absl::Status add(const UserRecord& record);
  // False: nobody of that name.
  absl::StatusOr<bool> set_password(std::string_view user, std::string_view hash);
  // The user's own or one for a program. False also where another hash than `old` is stored by now.
  absl::StatusOr<bool> replace_password(std::string_view user, std::string_view old, std::string_view hash);
  absl::StatusOr<bool> update(const UserRecord& record);
  absl::StatusOr<bool> remove(std::string_view user);
  // In the order of labels; of everybody, in the order of names.
  absl::StatusOr<std::vector<AppPassword>> app_passwords(std::string_view user);
  absl::StatusOr<std::vector<AppPassword>> all_app_passwords();
  // AlreadyExistsError, with a sentence: the user is not there, or has that label. ResourceExhaustedError: he has
  // AppPassword::count_max.
  absl::Status add_app_password(const AppPassword& password);
  // False: there is none.
  absl::StatusOr<bool> remove_app_password(std::string_view user, std::string_view label);
  // In the order of names.
  absl::StatusOr<std::vector<UserRecord>> list();

  // Nothing can be written here, by the file's permissions.
  bool read_only() const { return database_.read_only(); }
  // Differs from the last call's whenever another connection has committed in between. Cheap.
  absl::StatusOr<int64_t> data_version();
  // Who has changed after the change `id`.
  absl::StatusOr<ChangedUsers> changed_after(int64_t id);
  // Who has changed in the last `seconds`; gap: too many to name.
  absl::StatusOr<ChangedUsers> changed_within(int64_t seconds);

 private:
  explicit UserStore(Database database) : database_(std::move(database)) {}

  absl::Status prepare_all();
  absl::StatusOr<bool> run_change(Statement& statement);
  absl::StatusOr<ChangedUsers> read_changes(int64_t id, int64_t at);
  static absl::StatusOr<std::vector<AppPassword>> read_app_passwords(Statement& statement);

  Database database_;
  Statement find_, add_, update_, set_password_, replace_password_, remove_, list_, data_version_, changes_;
  Statement app_passwords_, all_app_passwords_, add_app_, replace_app_, remove_app_;
};

}  // namespace postern::helper
