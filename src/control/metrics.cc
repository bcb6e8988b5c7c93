// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/metrics.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"

namespace postern::control {
namespace {

using session::Dialect;
using session::Histogram;
using session::Measures;

using Labels = std::vector<std::pair<std::string_view, std::string>>;

// What is written, one family after the other, each with its samples behind it.
class Exposition {
 public:
  void counter(std::string_view name, std::string_view help) { family(name, "counter", help); }
  void gauge(std::string_view name, std::string_view help) { family(name, "gauge", help); }
  void histogram(std::string_view name, std::string_view help) { family(name, "histogram", help); }

  // Of the family that was begun last.
  void sample(const Labels& labels, uint64_t value) { line("", labels, std::to_string(value)); }
  void sample(uint64_t value) { sample({}, value); }
  void samples(const Labels& labels, const Histogram& histogram);

  std::string take() { return std::move(text_); }

 private:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += absl::StrFormat("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
  }
  void line(std::string_view suffix, const Labels& labels, std::string_view value);

  std::string name_;
  std::string text_;
};

void Exposition::line(std::string_view suffix, const Labels& labels, std::string_view value) {
  text_ += name_;
  text_ += suffix;
  std::string_view before = "{";
  for (const auto& [label, word] : labels) {
    text_ += absl::StrFormat("%s%s=\"", before, label);
    for (const char c : word) {
      if (c == '"' || c == '\\') text_ += '\\';
      text_ += c;  // names of the configuration have no line ends
    }
    text_ += '"';
    before = ",";
  }
  if (!labels.empty()) text_ += '}';
  text_ += absl::StrFormat(" %s\n", value);
}

void Exposition::samples(const Labels& labels, const Histogram& histogram) {
  uint64_t below = 0;
  Labels with_bound = labels;
  with_bound.emplace_back("le", "");
  for (size_t i = 0; i <= Histogram::bounds_ms.size(); ++i) {
    below += histogram.in_bucket(i);
    with_bound.back().second =
        i == Histogram::bounds_ms.size() ? "+Inf" : absl::StrFormat("%g", Histogram::bounds_ms[i] / 1000.0);
    line("_bucket", with_bound, std::to_string(below));
  }
  line("_sum", labels, absl::StrFormat("%.6f", static_cast<double>(histogram.sum_us()) / 1e6));
  line("_count", labels, std::to_string(below));
}

std::string own(std::string_view word) {
  return std::string(word);
}

// In an order that does not change from one scrape to the next.
void by_word(Exposition& out, std::string_view label, const session::ByWord& counts) {
  for (const auto& [word, count] : std::map<std::string_view, uint64_t>(counts.begin(), counts.end()))
    out.sample({{label, own(word)}}, count);
}

void write_sessions(Exposition& out, const Sums& sums) {
  const session::Counters& counters = sums.counters;
  out.gauge("postern_sessions", "Sessions at the moment, by state.");
  for (size_t state = 0; state < counters.states.size(); ++state)
    out.sample({{"state", own(session::state_word(state))}}, counters.states[state]);
  out.counter("postern_connections_accepted_total", "Connections of mail programs.");
  out.sample(counters.accepted);
  out.counter("postern_connections_turned_away_total", "Connections beyond a limit.");
  for (size_t limit = 0; limit < session::limit_count; ++limit)
    out.sample({{"limit", own(session::limit_word(static_cast<session::Limit>(limit)))}}, counters.turned_away[limit]);
  out.counter("postern_user_limit_refusals_total", "Logins of users who have all the sessions that they may have.");
  out.sample(counters.over_user_limit);
  out.counter("postern_timeouts_total", "Sessions whose time was over, by what it was for.");
  static constexpr std::string_view timeouts[session::timeout_count] = {"proxy-header", "handshake", "login", "idle",
                                                                        "closing"};
  for (size_t timeout = 0; timeout < session::timeout_count; ++timeout)
    out.sample({{"state", own(timeouts[timeout])}}, counters.timeouts[timeout]);
  out.counter("postern_session_ends_total", "Sessions that ended, by reason.");
  by_word(out, "reason", counters.measures.ends);
  out.counter("postern_relayed_bytes_total", "Bytes after login without TLS, of living sessions, too.");
  out.sample({{"direction", "in"}}, counters.bytes_in);
  out.sample({{"direction", "out"}}, counters.bytes_out);
  out.counter("postern_spliced_bytes_total", "Of them, those that stayed in the kernel.");
  out.sample(sums.spliced_bytes);
}

void write_tls(Exposition& out, const Sums& sums, const CertificateFigures& certificates) {
  const session::Counters& counters = sums.counters;
  out.counter("postern_tls_handshakes_total", "TLS handshakes with mail programs, by result.");
  out.sample({{"result", "full"}}, counters.handshakes - std::min(counters.handshakes, counters.handshakes_resumed));
  out.sample({{"result", "resumed"}}, counters.handshakes_resumed);
  out.sample({{"result", "failed"}}, counters.handshakes_failed);
  out.counter("postern_tls_handshake_failures_total", "Failed TLS handshakes with mail programs, by reason.");
  by_word(out, "reason", counters.measures.handshake_failures);
  out.counter("postern_tls_versions_total", "Finished TLS handshakes with mail programs, by version.");
  by_word(out, "version", counters.measures.tls_versions);
  out.histogram("postern_tls_handshake_duration_seconds", "Finished TLS handshakes with mail programs.");
  out.samples({}, counters.measures.handshake);
  out.gauge("postern_certificates", "Certificates that are served.");
  out.sample(certificates.served);
  out.gauge("postern_certificates_running_out", "Those that run out within tls.expiry_warning, or have.");
  out.sample(certificates.running_out);
  out.gauge("postern_certificate_expiry_timestamp_seconds", "When the first of all certificates runs out.");
  if (certificates.soonest != 0) out.sample(static_cast<uint64_t>(std::max<int64_t>(certificates.soonest, 0)));
}

void write_logins(Exposition& out, const Sums& sums) {
  const Measures& measures = sums.counters.measures;
  out.counter("postern_logins_total", "Logins, by protocol, mechanism and result.");
  for (size_t dialect = 0; dialect < Measures::dialects; ++dialect) {
    const Measures::OfDialect& of = measures.of_dialect[dialect];
    // LOGIN the command and LOGIN the mechanism bear one name.
    std::map<std::pair<std::string_view, std::string_view>, uint64_t> counts;
    for (size_t mechanism = 0; mechanism < Measures::mechanisms; ++mechanism) {
      const std::string_view word = protocol::mechanism_word(static_cast<protocol::Mechanism>(mechanism));
      counts[{word, "accepted"}] += of.accepted[mechanism];
      for (size_t cause = 0; cause < Measures::causes; ++cause)
        counts[{word, protocol::refusal_word(static_cast<protocol::RefusalCause>(cause))}] +=
            of.refused[mechanism][cause];
    }
    const std::string protocol = own(session::dialect_word(static_cast<Dialect>(dialect)));
    for (const auto& [words, count] : counts) {
      // What never happened is left out, but for the two that every rule asks about.
      const bool asked_about = words.first == "PLAIN" && (words.second == "accepted" || words.second == "unavailable");
      if (count == 0 && !asked_about) continue;
      out.sample({{"protocol", protocol}, {"mechanism", own(words.first)}, {"result", own(words.second)}}, count);
    }
  }
  const auto write = [&](std::string_view name, std::string_view help, Histogram Measures::OfDialect::*which) {
    out.histogram(name, help);
    for (size_t dialect = 0; dialect < Measures::dialects; ++dialect)
      out.samples({{"protocol", own(session::dialect_word(static_cast<Dialect>(dialect)))}},
                  measures.of_dialect[dialect].*which);
  };
  write("postern_helper_duration_seconds", "From a question to the helper's answer, without what the cache knew.",
        &Measures::OfDialect::helper);
  write("postern_back_connect_duration_seconds", "Connections to mail servers.", &Measures::OfDialect::back_connect);
  write("postern_back_login_duration_seconds", "Logins at mail servers, from the connection on.",
        &Measures::OfDialect::back_login);
  write("postern_login_duration_seconds", "Accepted logins, from the credentials to the relay.",
        &Measures::OfDialect::login);
}

void write_helper(Exposition& out, const Sums& sums, const auth::Cache::Report& cache, bool has_helper) {
  out.gauge("postern_helper_connected", "Reactors whose connection to the helper stands.");
  // With auth.mode = "back" nobody should miss it.
  if (has_helper) out.sample(sums.helper_connected);
  out.gauge("postern_helper_questions", "Questions to the helper under way.");
  out.sample(sums.helper.in_flight);
  out.gauge("postern_helper_waiting_sessions", "Sessions that wait for the helper.");
  out.sample(sums.helper.waiting);
  const auto count = [&](std::string_view name, std::string_view help, uint64_t value) {
    out.counter(name, help);
    out.sample(value);
  };
  count("postern_helper_asked_total", "Questions that were put.", sums.helper.asked);
  count("postern_helper_answered_total", "Answers in time.", sums.helper.answered);
  count("postern_helper_shared_total", "Sessions that joined another one's question.", sums.helper.shared);
  count("postern_helper_timeouts_total", "Questions without an answer in time.", sums.helper.timed_out);
  count("postern_helper_overloads_total", "Questions beyond auth.in_flight_max.", sums.helper.overloaded);
  count("postern_helper_malformed_total", "Answers that could not be used.", sums.helper.malformed);
  count("postern_helper_connections_total", "Connections made to the helper.", sums.helper.connections);
  out.gauge("postern_cache_entries", "Verdicts that are remembered.");
  out.sample({{"verdict", "accepted"}}, cache.entries);
  out.sample({{"verdict", "refused"}}, cache.reject_entries);
  count("postern_cache_hits_total", "Logins that the cache knew.", cache.hits);
  count("postern_cache_misses_total", "Logins that it did not.", cache.misses);
  count("postern_cache_stale_total", "Logins answered past their time, since the helper could not say.", cache.stale);
  count("postern_cache_evictions_total", "Entries that left for want of room.", cache.evictions);
  count("postern_cache_invalidated_total", "Entries that were dropped on demand.", cache.invalidated);
}

void write_backs(Exposition& out, const Sums& sums, const std::vector<MemberFigures>& members) {
  out.counter("postern_back_failures_total", "Attempts at mail servers that failed, by reason.");
  by_word(out, "reason", sums.counters.measures.back_failures);
  const auto write = [&](std::string_view name, std::string_view help, auto value_of) {
    out.gauge(name, help);
    for (const MemberFigures& member : members) {
      out.sample({{"pool", member.pool}, {"protocol", member.protocol}, {"back", member.back.text()}},
                 value_of(member));
    }
  };
  write("postern_back_up", "Whether the mail server passed its last health check.",
        [](const MemberFigures& member) { return uint64_t{member.up}; });
  write("postern_back_disabled", "Whether the administrator took it out of service.",
        [](const MemberFigures& member) { return uint64_t{member.disabled}; });
  write("postern_back_sessions", "Sessions there, those that log in counted.",
        [](const MemberFigures& member) { return uint64_t{member.sessions}; });
}

}  // namespace

Sums::Sums(const std::vector<reactor::Figures>& reactors) {
  for (const reactor::Figures& figures : reactors) {
    counters.add(figures.counters);
    spliced_bytes += figures.spliced_bytes;
    lent_bytes += figures.lent_bytes;
    cq_overflows += figures.cq_overflows;
    helper_connected += figures.helper.connected;
    helper.add(figures.helper);
  }
}

std::string metrics_text(const Snapshot& snapshot) {
  const Sums sums(snapshot.reactors);
  Exposition out;
  out.gauge("postern_build_info", "Always 1.");
  out.sample({{"version", POSTERN_VERSION}}, 1);
  out.gauge("postern_start_time_seconds", "When the gate was started.");
  out.sample(static_cast<uint64_t>(snapshot.started));
  out.gauge("postern_reactors", "Threads that carry sessions.");
  out.sample(snapshot.reactors.size());
  write_sessions(out, sums);
  write_tls(out, sums, snapshot.certificates);
  write_logins(out, sums);
  write_helper(out, sums, snapshot.cache, snapshot.has_helper);
  write_backs(out, sums, snapshot.members);
  out.gauge("postern_lent_bytes", "Memory lent to sessions while bytes wait to be sent.");
  out.sample(sums.lent_bytes);
  out.counter("postern_cq_overflows_total", "Completions that found io_uring's queue full.");
  out.sample(sums.cq_overflows);
  return out.take();
}

}  // namespace postern::control
