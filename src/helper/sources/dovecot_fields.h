// SPDX-License-Identifier: GPL-3.0-or-later
// The fields with which Dovecot's passdbs say where a user goes: extra fields of a passwd-file, and of the answers of
// its auth socket.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "helper/sources/source.h"

namespace postern::helper {

// Some need one another, so they are put together when all are read. Keeps views of what take() was given.
class DovecotFields {
 public:
  // One field; attributes of ours count too. NotFoundError: it is not known here.
  absl::Status take(std::string_view key, std::string_view value, Entry& entry);
  absl::Status finish(Route& route) const;

 private:
  bool keep(std::string_view key, std::string_view value);

  std::string_view host_, hostip_, port_, user_, destuser_, pass_;
};

}  // namespace postern::helper
