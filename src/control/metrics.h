// SPDX-License-Identifier: GPL-3.0-or-later
// Metrics: the gate's figures in Prometheus' text format, version 0.0.4. Labels are our own words and what the
// configuration names, never a user or a mail program's address.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "auth/cache.h"
#include "base/endpoint.h"
#include "reactor/reactor.h"

namespace postern::control {

struct CertificateFigures {
  uint64_t served = 0;
  uint64_t running_out = 0;  // below the configured warning, or over
  int64_t soonest = 0;       // seconds since 1970; 0: there is none
  std::string soonest_file;
};

// The figures of all reactors together.
struct Sums {
  explicit Sums(const std::vector<reactor::Figures>& reactors);

  session::Counters counters;
  auth::Desk::Report helper;      // `connected` says nothing here
  uint64_t helper_connected = 0;  // reactors whose connection to it stands
  uint64_t spliced_bytes = 0, lent_bytes = 0, cq_overflows = 0;
};

// A mail server of a pool.
struct MemberFigures {
  std::string pool;
  std::string protocol;
  Endpoint back;
  uint32_t weight = 1;
  bool up = true;         // by the last check; true where there was none
  bool disabled = false;  // by the administrator
  uint32_t sessions = 0;
};

// Everything that is shown at one time.
struct Snapshot {
  std::vector<reactor::Figures> reactors;
  auth::Cache::Report cache;
  CertificateFigures certificates;
  std::vector<MemberFigures> members;
  bool has_helper = true;
  int64_t started = 0;  // seconds since 1970
};

std::string metrics_text(const Snapshot& snapshot);

}  // namespace postern::control
