// SPDX-License-Identifier: GPL-3.0-or-later
// PAM as a source of users: it verifies passwords, and knows nothing else of them.
#pragma once

#include <memory>
#include <string>

#include "helper/idle_pool.h"
#include "helper/sources/pam_child.h"
#include "helper/sources/source.h"
#include "helper/table_reader.h"

namespace postern::helper {

struct PamOptions {
  std::string service = "postern";
  std::string folder = "/etc/pam.d";
};

PamOptions read_pam(TableReader& reader, SourceRules& rules);

// Keeps as many child processes as there were questions at one time, each with one question.
class PamSource : public Source {
 public:
  explicit PamSource(PamOptions options);

  const std::string& name() const override { return name_; }
  Lookup find(const Asked& asked) override;
  bool keeps_hashes() const override { return false; }
  absl::Status check() override;

 private:
  const PamOptions options_;
  const std::string name_;
  IdlePool<std::unique_ptr<PamChild>> children_;
};

// What PAM's answer says of a user.
Lookup meaning_of(const PamAnswer& answer);

}  // namespace postern::helper
