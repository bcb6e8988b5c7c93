// SPDX-License-Identifier: GPL-3.0-or-later
// Users by pattern: a whole domain, or everybody, with one password or with none of their own.
#pragma once

#include <string>
#include <vector>

#include "base/secret.h"
#include "helper/sources/source.h"

namespace postern::helper {

struct StaticOptions {
  std::vector<std::string> match;  // folded patterns: "*@example.test", "joe@*", "*"
  Secret password;                 // a hash (see passwords.h) that all of them share; empty: the mail server verifies
};

class StaticSource : public Source {
 public:
  // `name` tells several of them apart in the log.
  StaticSource(StaticOptions options, std::string name);

  const std::string& name() const override { return name_; }
  bool is_local() const override { return true; }
  Lookup find(const Asked& asked) override;
  absl::Status check() override { return absl::OkStatus(); }

 private:
  const StaticOptions options_;
  const std::string name_;
};

}  // namespace postern::helper
