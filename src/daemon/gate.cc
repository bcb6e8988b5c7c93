// SPDX-License-Identifier: GPL-3.0-or-later
#include "daemon/gate.h"

#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "daemon/capacity.h"
#include "daemon/setup.h"
#include "service/manager.h"
#include "tls/digest.h"
#include "tls/random.h"

namespace postern::daemon {
namespace {

auth::KeyedHash make_keyed_hash() {
  std::string key(32, '\0');
  tls::random_bytes(key.data(), key.size());
  return [key](std::string_view bytes) { return tls::hmac_sha256(key, bytes); };
}

}  // namespace

Gate::Gate(config::Config config, std::vector<std::string> command)
    : config_(std::move(config)), command_(std::move(command)) {}

Gate::~Gate() {
  if (server_) server_->stop();
  checker_.reset();
  reactors_.clear();
  log_.stop();
}

void Gate::log(LogLine line) {
  if (heard_ != nullptr) heard_->push_back(line.text());
  log_.write(line);
}

void Gate::log(const std::vector<certificates::Note>& notes) {
  for (const certificates::Note& note : notes)
    log(LogLine(note.severity, "certificate").add("file", note.file).say(note.text));
}

absl::Status Gate::start(Predecessor predecessor) {
  predecessor_.emplace(std::move(predecessor));
  return start();
}

absl::Status Gate::start() {
  log_.set(config_.log);
  if (absl::Status status = raise_descriptor_limit(); !status.ok()) return status;
  certificates_ = std::make_unique<certificates::Store>(store_of(config_, tickets_));
  std::vector<certificates::Note> notes;
  if (absl::Status status = certificates_->load(notes); !status.ok()) return status;
  certificates_->publish_ticket_keys();
  log(notes);
  absl::StatusOr<std::shared_ptr<const session::Setup>> setup = build_setup(config_, *certificates_);
  if (!setup.ok()) return setup.status();
  setup_ = *std::move(setup);
  if (config_.reactor.reactors == 0) config_.reactor.reactors = usable_cores();
  listening_ = std::make_unique<Listening>(config_.reactor.reactors);
  if (predecessor_) {
    absl::StatusOr<Inheritance> inheritance = predecessor_->inherit();
    if (!inheritance.ok()) return inheritance.status();
    tickets_.unpack(inheritance->ticket_keys.reveal());
    listening_->inherit(std::move(inheritance->sockets));
  }
  if (absl::Status status = listening_->update(config_.session.listeners); !status.ok()) return status;
  if (!predecessor_) open_control_door();
  if (absl::Status status = drop_privileges(); !status.ok()) return status;
  // A core file would hold every password of the moment.
  prctl(PR_SET_DUMPABLE, 0);
  if (absl::Status status = start_reactors(); !status.ok()) return status;
  // The running gate's is left to it until nothing can fail any more.
  if (predecessor_) open_control_door();
  start_control();
  return absl::OkStatus();
}

// Before the privileges go, since the folder may be root's. Mail is served without it, too.
void Gate::open_control_door() {
  const passwd* user = config_.user.empty() ? nullptr : getpwnam(config_.user.c_str());
  const absl::Status status = door_.open(config_.control, user == nullptr ? geteuid() : user->pw_uid,
                                         user == nullptr ? getegid() : user->pw_gid, predecessor_.has_value());
  if (!status.ok()) {
    log(LogLine(Severity::Warning, "control")
            .say(absl::StrFormat("posternctl cannot reach this gate. %s", std::string(status.message()))));
  }
}

void Gate::start_control() {
  if (door_.fd() < 0) return;
  server_ = std::make_unique<control::Server>(std::move(door_));
  control::Means means;
  for (const auto& reactor : reactors_)
    means.reactors.push_back(reactor.get());
  means.shared = shared_.get();
  means.log = &log_;
  means.board = &board_;
  means.main = errands_;
  means.reload = [this] { return reload_heard(); };
  means.certificates = [this] { return certificate_figures(); };
  commands_ = std::make_unique<control::Commands>(std::move(means), server_->errands());
  server_->start(
      [this](const auth::Form& request, control::Answer answer) { commands_->handle(request, std::move(answer)); });
}

absl::Status Gate::raise_descriptor_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return absl::InternalError("the limit on open files cannot be read");
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  // A reactor's table of direct descriptors may be as large as the process's limit, each for itself; it takes two
  // descriptors a session. SO_REUSEPORT does not spread evenly, so each reactor may hold all of them where that fits.
  const uint64_t table = std::min<uint64_t>(limit.rlim_cur, table_max);
  sessions_each_ =
      static_cast<uint32_t>(std::min<uint64_t>(table / 2, config_.session.limits.sessions + spare_descriptors));
  if (table < 2 * spare_descriptors) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "only %u open files are allowed: raise the limit (`ulimit -n`, LimitNOFILE= under systemd)", table));
  }
  return absl::OkStatus();
}

absl::Status Gate::drop_privileges() {
  if (config_.user.empty()) return absl::OkStatus();
  const passwd* user = getpwnam(config_.user.c_str());
  if (user == nullptr) {
    return absl::NotFoundError(
        absl::StrFormat("%s: gate.user: there is no user \"%s\" on this machine", config_.file, config_.user));
  }
  if (geteuid() == user->pw_uid) return absl::OkStatus();
  if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) {
    return absl::PermissionDeniedError(
        absl::StrFormat("cannot become user \"%s\": %s. Start as root, or leave gate.user "
                        "out and start as that user",
                        config_.user, strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status Gate::start_reactors() {
  cache_ = std::make_unique<auth::Cache>(config_.auth.cache, make_keyed_hash());
  shared_ = std::make_unique<reactor::Shared>(*cache_, [this](const LogLine& line) { log_.write(line); });
  const uint32_t count = config_.reactor.reactors;
  for (uint32_t number = 0; number < count; ++number) {
    reactor::ReactorOptions options;
    options.number = number;
    options.sessions_max = sessions_each_;
    options.floor_features = config_.reactor.kernel_features == reactor::KernelFeatures::Floor;
    options.auth = config_.auth;
    reactors_.push_back(
        std::make_unique<reactor::Reactor>(std::move(options), setup_, listening_->of(number), *shared_));
    if (absl::Status status = reactors_.back()->start(); !status.ok()) return status;
  }
  checker_ = std::make_unique<health::Checker>(
      [this](const std::shared_ptr<const session::PoolViews>& views) {
        board_.put(views);
        for (const auto& reactor : reactors_)
          reactor->post(reactor::Views{views});
      },
      [this](const LogLine& line) { log_.write(line); });
  checker_->watch(setup_);
  board_.put(setup_);
  if (uint64_t{sessions_each_} * count < config_.session.limits.sessions) {
    log(LogLine(Severity::Warning, "limits")
            .add("sessions", uint64_t{config_.session.limits.sessions})
            .add("possible", uint64_t{sessions_each_} * count)
            .say("the limit on open files allows for fewer sessions than limits.sessions: raise LimitNOFILE"));
  }
  return absl::OkStatus();
}

sigset_t Gate::signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2})
    sigaddset(&signals, number);
  return signals;
}

void Gate::run() {
  const sigset_t heard = signals();
  const int signal_fd = signalfd(-1, &heard, SFD_CLOEXEC);
  CHECK(signal_fd >= 0);
  log_.start();
  log(LogLine(Severity::Notice, "started")
          .add("version", POSTERN_VERSION)
          .add("reactors", reactors_.size())
          .add("listeners", config_.session.listeners.size()));
  service::tell_ready();
  if (predecessor_) predecessor_->say_ready();
  predecessor_.reset();
  const Instant now = std::chrono::steady_clock::now();
  rotate_at_ = now + config_.tls.ticket_rotation;
  expiries_at_ = now;
  plan_look(now);
  look_at_memory();
  while (!is_done()) {
    const Duration wait = until_duty(std::chrono::steady_clock::now());
    if (const std::optional<uint32_t> number = next_signal(signal_fd, wait)) on_signal(*number);
    do_duties(std::chrono::steady_clock::now());
  }
  for (const auto& reactor : reactors_)
    reactor->join();
  log(LogLine(Severity::Notice, "stopped"));
  ::close(signal_fd);
}

// The signal that came within that time; what other threads have asked for is done meanwhile.
std::optional<uint32_t> Gate::next_signal(int signal_fd, Duration wait) {
  pollfd waiting[2] = {{signal_fd, POLLIN, 0}, {errands_->fd(), POLLIN, 0}};
  if (poll(waiting, 2, static_cast<int>(std::clamp<int64_t>(wait.count(), 0, INT32_MAX))) <= 0) return std::nullopt;
  if (waiting[1].revents != 0) errands_->run();
  if (waiting[0].revents == 0) return std::nullopt;
  signalfd_siginfo info;
  if (::read(signal_fd, &info, sizeof info) != sizeof info) return std::nullopt;
  return info.ssi_signo;
}

void Gate::on_signal(uint32_t number) {
  if (number == SIGHUP) reload();
  if (number == SIGTERM || number == SIGINT) drain();
  if (number == SIGUSR1) report();
  if (number == SIGUSR2) upgrade();
}

Duration Gate::until_duty(Instant now) const {
  const Instant next = std::min({rotate_at_, look_at_, expiries_at_, memory_at_});
  const auto wait = std::chrono::duration_cast<Duration>(next - now) + Duration(1);
  return draining_ || successor_ ? std::min(wait, Duration(20)) : wait;
}

void Gate::do_duties(Instant now) {
  if (successor_ && !draining_) look_at_successor(now);
  if (now >= rotate_at_) {
    tickets_.rotate();
    rotate_at_ = now + config_.tls.ticket_rotation;
  }
  if (now >= look_at_) {
    look_at_certificates();
    plan_look(now);
  }
  if (now >= expiries_at_) {
    std::vector<certificates::Note> notes;
    certificates_->note_expiries(time(nullptr), notes);
    log(notes);
    expiries_at_ = now + std::chrono::hours(24);
  }
  if (now >= memory_at_) look_at_memory();
}

// Also what a reload changes, at once.
void Gate::look_at_memory() {
  memory_.set_limit(config_.session.limits.memory);
  std::optional<uint64_t> resident = MemoryWatch::resident();
  if (memory_.limit() != 0 && resident && *resident > memory_.limit() && !memory_.full()) {
    // Some of it may be what sessions have left behind.
    malloc_trim(0);
    resident = MemoryWatch::resident();
  }
  if (const std::optional<LogLine> line = memory_.note(resident.value_or(0))) log(*line);
  shared_->admission.set_memory_full(memory_.full());
  memory_at_ = memory_.limit() == 0 ? instant_never : std::chrono::steady_clock::now() + std::chrono::seconds(1);
}

void Gate::plan_look(Instant now) {
  const Duration every = config_.tls.certificate_check;
  look_at_ = every == Duration::zero() ? instant_never : now + every;
}

void Gate::look_at_certificates() {
  std::vector<certificates::Note> notes;
  const bool changed = certificates_->refresh(notes);
  log(notes);
  if (!changed || draining_) return;
  publish(with_certificates_of(*certificates_, *setup_));
}

void Gate::publish(std::shared_ptr<const session::Setup> setup) {
  setup_ = std::move(setup);
  board_.put(setup_);
  checker_->watch(setup_);
  for (size_t number = 0; number < reactors_.size(); ++number)
    reactors_[number]->post(reactor::Reload{setup_, listening_->of(static_cast<uint32_t>(number))});
}

void Gate::report() {
  LogLine line(Severity::Notice, "certificates");
  line.add("served", certificates_->size());
  if (const std::optional<tls::Expiry> soonest = certificates_->soonest_expiry()) {
    const int64_t left_s = soonest->not_after - time(nullptr);
    line.add("file", soonest->file_name).add("days_left", static_cast<uint64_t>(std::max<int64_t>(left_s, 0) / 86400));
  }
  log(line);
  for (const auto& reactor : reactors_)
    reactor->post(reactor::Report{});
}

bool Gate::is_done() const {
  return draining_ &&
         std::all_of(reactors_.begin(), reactors_.end(), [](const auto& reactor) { return reactor->done(); });
}

void Gate::drain() {
  if (draining_) {
    // Asked twice: somebody is in a hurry.
    for (const auto& reactor : reactors_)
      reactor->post(reactor::Drain{Duration(0)});
    return;
  }
  draining_ = true;
  log(LogLine(Severity::Notice, "draining")
          .add("seconds", static_cast<uint64_t>(config_.reactor.drain_timeout.count() / 1000)));
  service::tell_stopping(config_.reactor.drain_timeout);
  for (const auto& reactor : reactors_)
    reactor->post(reactor::Drain{config_.reactor.drain_timeout});
}

// A new process of the program, which may be another version by now, is to take this one's place.
void Gate::upgrade() {
  if (draining_ || successor_) {
    return log(LogLine(Severity::Warning, "upgrade").say("this process is being replaced, or ends, already"));
  }
  absl::StatusOr<std::unique_ptr<Successor>> started =
      Successor::start(command_, listening_->heirlooms(), tickets_.pack());
  if (!started.ok()) {
    return log(LogLine(Severity::Error, "upgrade")
                   .say(absl::StrFormat("%s. This process goes on", std::string(started.status().message()))));
  }
  successor_ = *std::move(started);
  successor_until_ = std::chrono::steady_clock::now() + Successor::patience;
  log(LogLine(Severity::Notice, "upgrade").add("process", static_cast<uint64_t>(successor_->pid())));
}

void Gate::look_at_successor(Instant now) {
  pollfd waiting{successor_->fd(), POLLIN, 0};
  const bool has_news = poll(&waiting, 1, 0) == 1;
  if (has_news && successor_->news() == Successor::News::Ready) return hand_over();
  if (!has_news && now < successor_until_) return;
  log(LogLine(Severity::Error, "upgrade")
          .add("process", static_cast<uint64_t>(successor_->pid()))
          .say(has_news ? "the new process has ended before it served; what it said tells why. This process goes on"
                        : "the new process did not serve in time and was ended. This process goes on"));
  successor_.reset();
}

// The new process serves. What lives here may log in and go on for a while.
void Gate::hand_over() {
  draining_ = true;
  const Duration timeout = config_.reactor.upgrade_timeout;
  log(LogLine(Severity::Notice, "handed-over")
          .add("process", static_cast<uint64_t>(successor_->pid()))
          .add("seconds", static_cast<uint64_t>(timeout.count() / 1000)));
  service::tell_main_process(successor_->pid());
  for (const auto& reactor : reactors_)
    reactor->post(reactor::Drain{timeout, false});
}

control::Reloaded Gate::reload_heard() {
  control::Reloaded reloaded;
  if (draining_) {
    reloaded.lines.emplace_back("the gate is going down");
    return reloaded;
  }
  heard_ = &reloaded.lines;
  reloaded.done = reload();
  heard_ = nullptr;
  return reloaded;
}

control::CertificateFigures Gate::certificate_figures() const {
  control::CertificateFigures figures;
  figures.served = certificates_->size();
  if (const std::optional<tls::Expiry> soonest = certificates_->soonest_expiry()) {
    figures.soonest = soonest->not_after;
    figures.soonest_file = soonest->file_name;
  }
  std::vector<certificates::Note> notes;
  certificates_->note_expiries(time(nullptr), notes);
  figures.running_out = notes.size();
  return figures;
}

// Either everything of the new file takes effect, or nothing.
bool Gate::reload() {
  if (draining_) return false;
  const service::Reloading reloading;
  config::LoadResult loaded = config::load_file(config_.file);
  for (const config::Problem& problem : loaded.problems) {
    log(LogLine(Severity::Error, "reload").say(problem.sentence()));
  }
  for (const config::Problem& warning : loaded.warnings) {
    log(LogLine(Severity::Warning, "reload").say(warning.sentence()));
  }
  absl::Status status;
  std::shared_ptr<const session::Setup> setup;
  std::unique_ptr<certificates::Store> store;
  if (loaded.config) {
    store = std::make_unique<certificates::Store>(store_of(*loaded.config, tickets_));
    std::vector<certificates::Note> notes;
    status = store->load(notes);
    log(notes);
  }
  if (loaded.config && status.ok()) {
    absl::StatusOr<std::shared_ptr<const session::Setup>> built = build_setup(*loaded.config, *store);
    status = built.status();
    if (built.ok()) {
      setup = *std::move(built);
      status = listening_->update(loaded.config->session.listeners);
    }
  }
  if (!loaded.config || !status.ok()) {
    log(LogLine(Severity::Error, "reload")
            .say(absl::StrFormat("the old configuration stays in force. %s", std::string(status.message()))));
    return false;
  }
  std::string kept;
  if (loaded.config->auth.mode != config_.auth.mode || loaded.config->auth.helper != config_.auth.helper)
    kept += " auth";
  const uint32_t reactors = loaded.config->reactor.reactors;
  if (reactors != 0 && reactors != config_.reactor.reactors) kept += " gate.reactors";
  if (loaded.config->log.target != config_.log.target) kept += " log.target";
  if (!kept.empty()) {
    log(LogLine(Severity::Warning, "reload")
            .add("unchanged", kept)
            .say("these settings take effect at the next start"));
  }
  config_.session = loaded.config->session;
  config_.tls = loaded.config->tls;
  config_.reactor.drain_timeout = loaded.config->reactor.drain_timeout;
  config_.reactor.upgrade_timeout = loaded.config->reactor.upgrade_timeout;
  log_.set(loaded.config->log);
  certificates_ = std::move(store);
  certificates_->publish_ticket_keys();
  const Instant now = std::chrono::steady_clock::now();
  plan_look(now);
  expiries_at_ = now;
  look_at_memory();
  publish(std::move(setup));
  log(LogLine(Severity::Notice, "reloaded").add("file", config_.file));
  return true;
}

}  // namespace postern::daemon
