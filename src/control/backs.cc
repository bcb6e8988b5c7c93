// SPDX-License-Identifier: GPL-3.0-or-later
// The commands about mail servers, the cache, and users who move.
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "control/commands.h"

namespace postern::control {
namespace {

constexpr uint32_t hold_default_s = 5;
// A mail program waits no longer for its login than limits.login_timeout; this is that one's default.
constexpr uint32_t hold_max_s = 60;

}  // namespace

std::vector<MemberFigures> Commands::members() const {
  const std::shared_ptr<const session::Setup> setup = means_.board->setup();
  const std::shared_ptr<const session::PoolViews> views = means_.board->views();
  std::vector<MemberFigures> members;
  for (const session::PoolOptions& options : setup->options.pools) {
    const session::Pool* const pool = setup->pool(options.name);
    if (pool == nullptr) continue;
    for (const session::MemberView& member : session::view_in(*pool, views.get()).members) {
      MemberFigures figures;
      figures.pool = options.name;
      figures.protocol = std::string(session::dialect_word(options.dialect));
      figures.back = member.endpoint;
      figures.weight = member.weight;
      figures.up = !member.down;
      figures.disabled = means_.shared->counts.is_closed(member.endpoint);
      figures.sessions = means_.shared->counts.of(member.endpoint);
      members.push_back(std::move(figures));
    }
  }
  return members;
}

void Commands::backends(const auth::Form& request, Answer answer) {
  for (const bool disable : {true, false}) {
    const std::string_view text = request.get(disable ? "disable" : "enable");
    if (text.empty()) continue;
    const std::optional<Endpoint> back = Endpoint::parse(text);
    if (!back) return answer.fail(absl::StrFormat("%s: this must be an address and a port", text));
    session::Counts& counts = means_.shared->counts;
    const bool changed = disable ? counts.close(*back) : counts.open(*back);
    const std::vector<MemberFigures> all = members();
    const bool known = std::any_of(all.begin(), all.end(), [&](const MemberFigures& one) { return one.back == *back; });
    if (!known && disable && changed) {
      means_.log->write(LogLine(Severity::Notice, "backend")
                            .add("back", back->text())
                            .say("no pool has this mail server; logins that a helper sends there are refused"));
    }
    if (changed)
      means_.log->write(LogLine(Severity::Notice, "backend")
                            .add("back", back->text())
                            .add("state", disable ? "disabled" : "enabled"));
    return answer.end(Json{{"back", back->text()}, {"disabled", disable}, {"changed", changed}, {"in_a_pool", known}});
  }
  const std::shared_ptr<const session::Setup> setup = means_.board->setup();
  const std::shared_ptr<const session::PoolViews> views = means_.board->views();
  std::vector<Endpoint> closed = means_.shared->counts.closed();
  const std::vector<MemberFigures> all = members();
  for (const MemberFigures& member : all) {
    Json json;
    json["pool"] = member.pool;
    json["protocol"] = member.protocol;
    json["back"] = member.back.text();
    json["state"] = member.disabled ? "disabled" : member.up ? "up" : "down";
    json["sessions"] = member.sessions;
    json["weight"] = member.weight;
    if (const session::Pool* pool = setup->pool(member.pool))
      json["capabilities"] = session::view_in(*pool, views.get()).learned;
    answer.add(json);
    std::erase(closed, member.back);
  }
  // A helper may name them, though no pool does.
  for (const Endpoint& back : closed) {
    answer.add(Json{{"pool", ""},
                    {"protocol", ""},
                    {"back", back.text()},
                    {"state", "disabled"},
                    {"sessions", means_.shared->counts.of(back)},
                    {"weight", 0}});
  }
  answer.end(Json{{"backends", all.size() + closed.size()}});
}

void Commands::cache(const auth::Form& request, Answer answer) {
  auth::Cache& cache = means_.shared->cache;
  if (const std::string_view user = request.get("drop"); !user.empty()) {
    const size_t entries = user == "*" ? 0 : cache.entries_of(user);
    const uint64_t before = cache.report().invalidated;
    cache.invalidate(user);
    const uint64_t dropped = user == "*" ? cache.report().invalidated - before : entries;
    return answer.end(Json{{"user", std::string(user)}, {"dropped", dropped}});
  }
  if (const std::string_view user = request.get("user"); !user.empty()) {
    return answer.end(Json{{"user", std::string(user)}, {"entries", cache.entries_of(user)}});
  }
  const auth::Cache::Report report = cache.report();
  Json json;
  json["entries"] = report.entries;
  json["reject_entries"] = report.reject_entries;
  json["hits"] = report.hits;
  json["reject_hits"] = report.reject_hits;
  json["misses"] = report.misses;
  json["stale"] = report.stale;
  json["evictions"] = report.evictions;
  json["invalidated"] = report.invalidated;
  answer.end(std::move(json));
}

// New logins are held first, so that no mail program comes back to the old place in between.
void Commands::move(const auth::Form& request, Answer answer) {
  const std::string_view user = request.get("user");
  if (user.empty()) return answer.fail("user= is missing: who moves?");
  std::optional<Endpoint> back;
  if (const std::string_view text = request.get("back"); !text.empty()) {
    back = Endpoint::parse(text);
    if (!back) return answer.fail(absl::StrFormat("back=%s: this must be an address and a port", text));
  }
  uint32_t hold_s = hold_default_s;
  if (const std::string_view text = request.get("hold_seconds"); !text.empty()) {
    if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &hold_s) || hold_s > hold_max_s) {
      return answer.fail(absl::StrFormat("hold_seconds=%s: this must be a number up to %u", text, hold_max_s));
    }
  }
  session::Moves& moves = means_.shared->moves;
  if (request.get("cancel") == "yes")
    return answer.end(Json{{"user", std::string(user)}, {"known", moves.forget(user)}});
  if (!moves.begin(user, back, std::chrono::steady_clock::now() + std::chrono::seconds(hold_s))) {
    return answer.fail("too many users are moving; restart the gate when the helper knows their new places");
  }
  means_.shared->cache.invalidate(user);
  LogLine line(Severity::Notice, "move");
  line.add("user", user).add("hold_seconds", uint64_t{hold_s});
  if (back) line.add("back", back->text());
  means_.log->write(line);
  Filter filter;
  filter.user = std::string(user);
  list(std::move(filter), std::move(answer), "kicked", [](session::Session& session, Instant now) {
    // Those that are logging in are held, or are yet to be.
    if (!session.relaying()) return false;
    session.kick(now);
    return true;
  });
}

}  // namespace postern::control
