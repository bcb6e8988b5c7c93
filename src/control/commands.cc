// SPDX-License-Identifier: GPL-3.0-or-later
#include "control/commands.h"

#include <time.h>
#include <unistd.h>

#include <numeric>
#include <utility>

#include "absl/strings/str_format.h"

namespace postern::control {
namespace {

uint64_t seconds_of(Duration duration) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

Json json_of(const session::Facts& facts, size_t reactor) {
  Json json;
  json["session"] = session::text_of_id(facts.id);
  json["state"] = std::string(facts.state);
  json["protocol"] = std::string(session::dialect_word(facts.dialect));
  if (!facts.user.empty()) json["user"] = facts.user;
  json["front"] = facts.front.text();
  json["local"] = facts.local.text();
  if (facts.back) json["back"] = facts.back->text();
  json["front_tls"] = facts.front_tls.empty() ? "none" : std::string(facts.front_tls);
  if (facts.back) json["back_tls"] = facts.back_tls.empty() ? "none" : std::string(facts.back_tls);
  json["seconds"] = seconds_of(facts.age);
  json["silent_seconds"] = seconds_of(facts.silence);
  json["bytes_in"] = facts.bytes_in;
  json["bytes_out"] = facts.bytes_out;
  json["reactor"] = reactor;
  return json;
}

std::optional<Severity> severity_of(std::string_view word) {
  for (const Severity severity :
       {Severity::Error, Severity::Warning, Severity::Notice, Severity::Info, Severity::Debug}) {
    if (word == severity_word(severity)) return severity;
  }
  return std::nullopt;
}

}  // namespace

Commands::Commands(Means means, std::shared_ptr<Errands> control)
    : means_(std::move(means)),
      control_(std::move(control)),
      began_(std::chrono::steady_clock::now()),
      started_(::time(nullptr)) {}

void Commands::handle(const auth::Form& request, Answer answer) {
  struct Row {
    std::string_view op;
    void (Commands::*command)(const auth::Form&, Answer);
  };
  static constexpr Row rows[] = {
      {"status", &Commands::status},   {"sessions", &Commands::sessions}, {"session", &Commands::session},
      {"kick", &Commands::kick},       {"reload", &Commands::reload},     {"log-level", &Commands::log_level},
      {"metrics", &Commands::metrics}, {"backends", &Commands::backends}, {"cache", &Commands::cache},
      {"move", &Commands::move},       {"trace", &Commands::trace},
  };
  const std::string_view op = request.get("op");
  for (const Row& row : rows) {
    if (op == row.op) return (this->*row.command)(request, std::move(answer));
  }
  std::string known;
  for (const Row& row : rows)
    known += (known.empty() ? "" : ", ") + std::string(row.op);
  answer.fail(op.empty() ? "a request must begin with op=; known are: " + known
                         : absl::StrFormat("op=%s is not known here; known are: %s", op, known));
}

// ---- Figures -------------------------------------------------------------------------------------------------------

// Waits for the figures of all.
struct Commands::Gathering {
  std::vector<reactor::Figures> figures;
  CertificateFigures certificates;
  size_t awaited = 0;
  Seen seen;

  void came() {
    if (--awaited == 0) seen(figures, certificates);
  }
};

void Commands::gather(Seen seen) {
  auto gathering = std::make_shared<Gathering>();
  gathering->seen = std::move(seen);
  gathering->awaited = means_.reactors.size() + 1;
  const std::shared_ptr<Errands> control = control_;
  for (reactor::Reactor* reactor : means_.reactors) {
    const bool posted = reactor->post(reactor::Look{[control, gathering](const reactor::Figures& figures) {
      control->post([gathering, figures] {
        gathering->figures.push_back(figures);
        gathering->came();
      });
    }});
    if (!posted) control->post([gathering] { gathering->came(); });
  }
  means_.main->post([control, gathering, look = means_.certificates] {
    control->post([gathering, found = look()] {
      gathering->certificates = found;
      gathering->came();
    });
  });
}

void Commands::status(const auth::Form&, Answer answer) {
  gather([this, answer](const std::vector<reactor::Figures>& all, const CertificateFigures& certificates) mutable {
    const Sums sums(all);
    const session::Counters& sum = sums.counters;
    Json states = Json::object();
    uint64_t sessions = 0;
    for (size_t state = 0; state < sum.states.size(); ++state) {
      states[std::string(session::state_word(state))] = sum.states[state];
      sessions += sum.states[state];
    }
    const auth::Cache::Report cache = means_.shared->cache.report();
    Json json;
    json["version"] = POSTERN_VERSION;
    json["pid"] = ::getpid();
    json["uptime_seconds"] =
        seconds_of(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - began_));
    json["reactors"] = means_.reactors.size();
    json["log_level"] = std::string(severity_word(means_.log->level()));
    json["sessions"] = sessions;
    json["states"] = std::move(states);
    json["accepted"] = sum.accepted;
    json["turned_away"] = std::accumulate(std::begin(sum.turned_away), std::end(sum.turned_away), uint64_t{0});
    json["handshakes"] = {
        {"done", sum.handshakes}, {"resumed", sum.handshakes_resumed}, {"failed", sum.handshakes_failed}};
    json["logins"] = {{"accepted", sum.logins}, {"refused", sum.refused}, {"unavailable", sum.unavailable}};
    json["back_failures"] = sum.back_failures;
    json["bytes_in"] = sum.bytes_in;
    json["bytes_out"] = sum.bytes_out;
    json["helper"] = {{"connected", sums.helper_connected},
                      {"in_flight", sums.helper.in_flight},
                      {"waiting", sums.helper.waiting},
                      {"timed_out", sums.helper.timed_out}};
    json["cache"] = {
        {"entries", cache.entries}, {"hits", cache.hits}, {"misses", cache.misses}, {"stale", cache.stale}};
    json["certificates"] = {{"served", certificates.served}, {"running_out", certificates.running_out}};
    if (certificates.soonest != 0) {
      json["certificates"]["soonest_file"] = certificates.soonest_file;
      json["certificates"]["soonest_unix_seconds"] = certificates.soonest;
    }
    json["lent_bytes"] = sums.lent_bytes;
    json["cq_overflows"] = sums.cq_overflows;
    answer.end(std::move(json));
  });
}

void Commands::metrics(const auth::Form&, Answer answer) {
  gather([this, answer](const std::vector<reactor::Figures>& all, const CertificateFigures& certificates) mutable {
    const Snapshot snapshot{all,
                            means_.shared->cache.report(),
                            certificates,
                            members(),
                            means_.board->setup()->mode == auth::Mode::Helper,
                            started_};
    answer.end(Json{{"content_type", "text/plain; version=0.0.4"}, {"text", metrics_text(snapshot)}});
  });
}

// ---- Sessions ------------------------------------------------------------------------------------------------------

// One reactor after the other, some sessions a turn, and only as fast as the answer is read.
struct Commands::Listing : std::enable_shared_from_this<Listing> {
  Listing(Filter wanted, Answer to, std::string word, Act done)
      : filter(std::move(wanted)), answer(std::move(to)), counted(std::move(word)), act(std::move(done)) {}

  const Filter filter;
  Answer answer;
  const std::string counted;
  const Act act;
  std::vector<reactor::Reactor*> reactors;
  std::shared_ptr<Errands> control;
  size_t reactor = 0;
  uint32_t from = 0;
  uint64_t count = 0;

  void step() {
    if (!answer.is_wanted()) return;
    if (reactor == reactors.size()) {
      if (count == 0 && filter.id) return answer.fail("there is no such session");
      return answer.end(Json{{counted, count}});
    }
    auto found = std::make_shared<std::vector<session::Facts>>();
    reactor::Walk walk;
    walk.from = from;
    walk.visit = [self = shared_from_this(), found](session::Session& session, Instant now) {
      session::Facts facts = session.facts(now);
      if (!self->filter.matches(facts)) return;
      if (self->act && !self->act(session, now)) return;
      found->push_back(std::move(facts));
    };
    walk.visited = [self = shared_from_this(), found](std::optional<uint32_t> next) {
      self->control->post([self, found, next] { self->take(*found, next); });
    };
    // Its thread has ended, and its sessions before it.
    if (!reactors[reactor]->post(std::move(walk))) take({}, std::nullopt);
  }

  void take(const std::vector<session::Facts>& found, std::optional<uint32_t> next) {
    for (const session::Facts& facts : found)
      answer.add(json_of(facts, reactor));
    count += found.size();
    from = next.value_or(0);
    if (!next) reactor++;
    answer.when_room([self = shared_from_this()] { self->step(); });
  }
};

void Commands::list(Filter filter, Answer answer, std::string_view counted, Act act) {
  auto listing = std::make_shared<Listing>(std::move(filter), std::move(answer), std::string(counted), std::move(act));
  listing->reactors = means_.reactors;
  listing->control = control_;
  listing->step();
}

void Commands::sessions(const auth::Form& request, Answer answer) {
  absl::StatusOr<Filter> filter = Filter::of(request);
  if (!filter.ok()) return answer.fail(std::string(filter.status().message()));
  list(*std::move(filter), std::move(answer), "sessions", nullptr);
}

void Commands::session(const auth::Form& request, Answer answer) {
  absl::StatusOr<Filter> filter = Filter::of(request);
  if (!filter.ok()) return answer.fail(std::string(filter.status().message()));
  if (!filter->id) return answer.fail("session= is missing: the sixteen digits that name the session");
  list(*std::move(filter), std::move(answer), "sessions", nullptr);
}

void Commands::kick(const auth::Form& request, Answer answer) {
  absl::StatusOr<Filter> filter = Filter::of(request);
  if (!filter.ok()) return answer.fail(std::string(filter.status().message()));
  if (filter->is_everything() && request.get("all") != "yes") {
    return answer.fail("say which sessions are to end, or all=yes if all are meant");
  }
  list(*std::move(filter), std::move(answer), "kicked", [](session::Session& session, Instant now) {
    session.kick(now);
    return true;
  });
}

// ---- The gate ------------------------------------------------------------------------------------------------------

void Commands::reload(const auth::Form&, Answer answer) {
  means_.main->post([control = control_, answer, reload = means_.reload] {
    control->post([answer, reloaded = reload()]() mutable {
      Json json;
      json["lines"] = reloaded.lines;
      json["result"] = reloaded.done ? "ok" : "error";
      if (!reloaded.done) json["text"] = "the old configuration stays in force";
      answer.end(std::move(json));
    });
  });
}

void Commands::log_level(const auth::Form& request, Answer answer) {
  const std::string_view word = request.get("level");
  const std::optional<Severity> level = severity_of(word);
  if (!word.empty() && !level) {
    return answer.fail(
        absl::StrFormat("level=%s: this must be error, warning, notice, info or debug, or be left out", word));
  }
  if (level) means_.log->set_level(*level);
  answer.end(Json{{"level", std::string(severity_word(means_.log->level()))}});
}

}  // namespace postern::control
