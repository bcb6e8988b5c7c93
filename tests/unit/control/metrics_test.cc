// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/metrics.h"

#include <gtest/gtest.h>

namespace postern::control {
namespace {

const Instant start{std::chrono::hours(1)};

TEST(Metrics, ReactorsAreAddedUp) {
  Snapshot snapshot;
  for (uint32_t number = 0; number < 2; ++number) {
    reactor::Figures figures;
    figures.number = number;
    figures.counters.accepted = 5;
    figures.counters.bytes_in = 100;
    figures.counters.states[7] = 3;
    figures.counters.measures.back_failures["refused"] = 1;
    figures.counters.measures.of(session::Dialect::Pop3).accepted[3] = 2;
    figures.counters.measures.of(session::Dialect::Pop3).login.note(start, start + std::chrono::milliseconds(3));
    figures.counters.measures.of(session::Dialect::Pop3).login.note(start, start + std::chrono::minutes(2));
    snapshot.reactors.push_back(figures);
  }
  snapshot.members.push_back({"a \"b\" \\", "imap", *Endpoint::parse("10.0.0.1:143"), 1, false, true, 9});
  const std::string text = metrics_text(snapshot);
  for (const char* line : {
           "\npostern_connections_accepted_total 10\n",
           "\npostern_sessions{state=\"Relaying\"} 6\n",
           "\npostern_relayed_bytes_total{direction=\"in\"} 200\n",
           "\npostern_back_failures_total{reason=\"refused\"} 2\n",
           "\npostern_logins_total{protocol=\"pop3\",mechanism=\"PLAIN\",result=\"accepted\"} 4\n",
           "\npostern_login_duration_seconds_bucket{protocol=\"pop3\",le=\"0.002\"} 0\n",
           "\npostern_login_duration_seconds_bucket{protocol=\"pop3\",le=\"0.005\"} 2\n",
           "\npostern_login_duration_seconds_bucket{protocol=\"pop3\",le=\"30\"} 2\n",
           "\npostern_login_duration_seconds_bucket{protocol=\"pop3\",le=\"+Inf\"} 4\n",
           "\npostern_login_duration_seconds_sum{protocol=\"pop3\"} 240.006000\n",
           "\npostern_login_duration_seconds_count{protocol=\"pop3\"} 4\n",
           "\npostern_back_up{pool=\"a \\\"b\\\" \\\\\",protocol=\"imap\",back=\"10.0.0.1:143\"} 0\n",
           "\npostern_back_disabled{pool=\"a \\\"b\\\" \\\\\",protocol=\"imap\",back=\"10.0.0.1:143\"} 1\n",
           "\n# TYPE postern_login_duration_seconds histogram\n",
       })
    EXPECT_NE(text.find(line), text.npos) << line << text;
}

TEST(Metrics, AClockThatStandsStillIsNoNegativeTime) {
  session::Histogram histogram;
  histogram.note(start, start - std::chrono::seconds(1));
  EXPECT_EQ(histogram.in_bucket(0), 1u);
  EXPECT_EQ(histogram.sum_us(), 0u);
}

}  // namespace
}  // namespace postern::control
