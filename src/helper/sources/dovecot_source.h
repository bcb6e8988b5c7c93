// SPDX-License-Identifier: GPL-3.0-or-later
// Dovecot's auth socket as a source of users: whoever Dovecot knows may come.
#pragma once

#include <atomic>
#include <string>

#include "helper/sources/dovecot_link.h"
#include "helper/sources/source.h"
#include "helper/table_reader.h"

namespace postern::helper {

struct DovecotOptions {
  std::string socket = "/run/dovecot/auth-client";
  std::string service;  // what Dovecot is told it is for; empty: the question's protocol
};

DovecotOptions read_dovecot(TableReader& reader, SourceRules& rules);

class DovecotSource : public Source {
 public:
  explicit DovecotSource(DovecotOptions options);

  const std::string& name() const override { return name_; }
  Lookup find(const Asked& asked) override;
  bool takes_tokens() const override { return may_take_tokens_; }
  bool keeps_hashes() const override { return false; }
  absl::Status check() override;

 private:
  const DovecotOptions options_;
  const std::string name_;
  DovecotLink link_;
  std::atomic<bool> may_take_tokens_ = true;  // until its greeting says that it does not
};

}  // namespace postern::helper
