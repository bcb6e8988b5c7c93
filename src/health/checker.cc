// SPDX-License-Identifier: GPL-3.0-or-later
#include "health/checker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace postern::health {
namespace {

// While the system's resolver is at work, it is asked this often whether it is done.
constexpr Duration resolver_pause = std::chrono::milliseconds(50);

Instant clock_now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

Checker::Checker(Publish publish, Log log) : publish_(std::move(publish)), log_(std::move(log)) {
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  CHECK(wake_fd_ >= 0);
}

Checker::~Checker() {
  stopping_.store(true);
  const uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  ::close(wake_fd_);
}

void Checker::watch(std::shared_ptr<const session::Setup> setup) {
  {
    const std::lock_guard lock(mutex_);
    posted_ = std::move(setup);
  }
  const uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof one);
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void Checker::run() {
  while (!stopping_.load()) {
    take_setup();
    const Instant now = clock_now();
    for (const std::string& sentence : resolver_.collect())
      log_(LogLine(Severity::Warning, "resolve").say(sentence));
    begin_checks(now);
    launch_probes(now);
    end_probes(now);
    wait(clock_now());
  }
}

// Another configuration: what is known of members that stay is kept.
void Checker::take_setup() {
  std::shared_ptr<const session::Setup> setup;
  {
    const std::lock_guard lock(mutex_);
    setup = std::exchange(posted_, nullptr);
  }
  if (!setup) return;
  // Probes refer to pools of the former one.
  running_.clear();
  due_.clear();
  setup_ = std::move(setup);
  absl::flat_hash_map<std::string, PoolState> states;
  for (const auto& [name, pool] : setup_->pools) {
    PoolState& state = states[name];
    if (const auto former = states_.find(name); former != states_.end()) state = std::move(former->second);
    state.next_check = clock_now();
    state.resolving = false;
    state.probing = 0;
  }
  states_ = std::move(states);
  publish();
}

void Checker::begin_checks(Instant now) {
  for (auto& [name, state] : states_) {
    const session::Pool& pool = *setup_->pool(name);
    if (pool.options.members.empty()) continue;
    if (now >= state.next_check && !state.resolving && state.probing == 0) {
      for (const session::MemberOptions& member : pool.options.members) {
        if (!member.address) resolver_.look_up(member.host);
      }
      state.resolving = true;
      // Names without checks are looked up as often as the checks would come.
      const Duration usual = session::PoolOptions{}.check_interval;
      state.next_check = now + (pool.options.check_interval > Duration::zero() ? pool.options.check_interval : usual);
    }
    const bool looking = std::any_of(pool.options.members.begin(), pool.options.members.end(), [&](const auto& member) {
      return !member.address && resolver_.is_busy(member.host);
    });
    if (state.resolving && !looking) begin_check(pool, state);
  }
}

void Checker::begin_check(const session::Pool& pool, PoolState& state) {
  state.resolving = false;
  const auto endpoints = endpoints_of(pool.options);
  absl::flat_hash_map<Endpoint, Member> members;
  for (const auto& [endpoint, weight] : endpoints)
    members[endpoint] = state.members[endpoint];
  state.members = std::move(members);
  if (pool.options.check_interval <= Duration::zero()) return publish();
  for (const auto& [endpoint, member] : state.members)
    due_.push_back({pool.options.name, endpoint});
  state.probing = state.members.size();
}

void Checker::launch_probes(Instant now) {
  while (!due_.empty() && running_.size() < probes_max) {
    const Due due = std::move(due_.back());
    due_.pop_back();
    const session::Pool& pool = *setup_->pool(due.pool);
    running_.push_back(
        {due.pool, due.member, std::make_unique<Probe>(pool, setup_->options.hostname, due.member, now)});
  }
}

void Checker::wait(Instant now) {
  Instant until = instant_never;
  for (const auto& [name, state] : states_) {
    if (!state.resolving && state.probing == 0) until = std::min(until, state.next_check);
  }
  std::vector<pollfd> waiting{{wake_fd_, POLLIN, 0}};
  for (const Running& running : running_) {
    until = std::min(until, running.probe->deadline());
    const short events = running.probe->wants_write() ? POLLIN | POLLOUT : POLLIN;
    waiting.push_back({running.probe->descriptor(), events, 0});
  }
  if (resolver_.is_busy()) until = std::min(until, now + resolver_pause);
  if (!due_.empty() && running_.size() < probes_max) until = now;
  int wait_ms = -1;
  if (until != instant_never) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::max(until - now, Instant::duration::zero()));
    wait_ms = static_cast<int>(std::min<int64_t>(left.count(), 60000));
  }
  if (::poll(waiting.data(), waiting.size(), wait_ms) <= 0) return;
  uint64_t count = 0;
  if (waiting[0].revents != 0) (void)!::read(wake_fd_, &count, sizeof count);
}

void Checker::end_probes(Instant now) {
  std::vector<std::string> ended;
  for (Running& running : running_) {
    running.probe->ready(now);
    if (std::holds_alternative<Unfinished>(running.probe->finding())) continue;
    PoolState& state = states_[running.pool];
    note(running, state, now);
    running.probe.reset();
    if (--state.probing == 0) ended.push_back(running.pool);
  }
  std::erase_if(running_, [](const Running& running) { return running.probe == nullptr; });
  for (const std::string& pool : ended)
    end_round(pool);
}

// The log hears of a change only.
void Checker::note(const Running& running, PoolState& state, Instant now) {
  Member& member = state.members[running.member];
  const bool was_down = member.known && member.down;
  if (const auto* well = std::get_if<Well>(&running.probe->finding())) {
    member.capabilities = well->capabilities;
    member.down = false;
    if (was_down) {
      member.up_since = now;
      log_(LogLine(Severity::Notice, "member")
               .add("state", "up")
               .add("pool", running.pool)
               .add("back", running.member.text()));
    }
  } else {
    const Ill& ill = std::get<Ill>(running.probe->finding());
    member.down = true;
    if (!was_down) {
      log_(LogLine(Severity::Warning, "member")
               .add("state", "down")
               .add("pool", running.pool)
               .add("back", running.member.text())
               .add("reason", ill.why)
               .say(ill.text));
    }
  }
  member.known = true;
}

void Checker::end_round(const std::string& name) {
  PoolState& state = states_[name];
  std::vector<std::string> lists;
  uint64_t up = 0;
  for (const auto& [endpoint, member] : state.members) {
    if (!member.known || member.down) continue;
    ++up;
    lists.push_back(member.capabilities);
  }
  // Members that are down for the moment take back no promise.
  if (!lists.empty()) {
    std::string learned = session::shared_capabilities(lists);
    if (learned != state.learned) {
      log_(LogLine(Severity::Info, "pool")
               .add("pool", name)
               .add("members", uint64_t{state.members.size()})
               .add("up", up)
               .say("what all members can do is now known, and is announced before login"));
    }
    state.learned = std::move(learned);
  }
  publish();
}

std::vector<std::pair<Endpoint, uint32_t>> Checker::endpoints_of(const session::PoolOptions& pool) const {
  std::vector<std::pair<Endpoint, uint32_t>> endpoints;
  for (const session::MemberOptions& member : pool.members) {
    if (member.address) {
      endpoints.emplace_back(*member.address, member.weight);
      continue;
    }
    for (const Endpoint& address : resolver_.addresses(member.host, member.port))
      endpoints.emplace_back(address, member.weight);
  }
  return endpoints;
}

session::PoolView Checker::view_of(const session::Pool& pool, const PoolState& state) const {
  session::PoolView view;
  for (const auto& [endpoint, weight] : endpoints_of(pool.options)) {
    session::MemberView member{endpoint, weight};
    if (const auto known = state.members.find(endpoint); known != state.members.end()) {
      member.down = known->second.down;
      member.up_since = known->second.up_since;
    }
    view.members.push_back(member);
  }
  view.learned = state.learned;
  return view;
}

void Checker::publish() {
  auto views = std::make_shared<session::PoolViews>();
  for (const auto& [name, state] : states_)
    (*views)[name] = view_of(*setup_->pool(name), state);
  publish_(std::move(views));
}

}  // namespace postern::health
