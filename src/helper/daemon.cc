// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/daemon.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <utility>

#include "helper/guessing/guarded.h"
#include "helper/log.h"

namespace postern::helper {
namespace {

// How soon after a change a gate forgets the old password.
constexpr timespec poll_interval{1, 0};
// A longer list is not worth its lines: the gates forget everybody.
constexpr size_t names_max = 1000;
constexpr uint32_t workers_min = 4;
constexpr uint32_t workers_max = 1024;  // most of them sleep

postern_bytes said(std::string_view text) {
  return text.empty() ? postern_bytes{nullptr, 0} : postern_bytes{text.data(), text.size()};
}

// As many as all sources can keep busy at once, so that one which hangs does not stop the others, and some to hash.
uint32_t thread_count(uint32_t configured, const Verifier& verifier) {
  if (configured != 0) return configured;
  uint32_t count = std::max(workers_min, 2 * std::thread::hardware_concurrency());
  for (const auto& source : verifier.sources()) {
    if (!source->is_local()) count += 2 * source->rules().turnstile.connections;
  }
  return std::min(count, workers_max);
}

std::shared_ptr<Verifier> make_verifier(Options& options) {
  return std::make_shared<Verifier>(make_sources(std::move(options.sources)), options.passwords, options.names);
}

// The group's number; -1 for an empty name.
absl::StatusOr<gid_t> find_group(const std::string& name) {
  if (name.empty()) return static_cast<gid_t>(-1);
  group entry;
  group* found = nullptr;
  std::vector<char> room(64 * 1024);
  if (getgrnam_r(name.c_str(), &entry, room.data(), room.size(), &found) == 0 && found != nullptr) return found->gr_gid;
  return absl::NotFoundError("socket_group: there is no group \"" + name + "\". Create it, or name another one.");
}

absl::Status listen_failure(const std::string& path, int error) {
  const std::string head = "socket " + path + ": ";
  if (error == EADDRINUSE) return absl::FailedPreconditionError(head + "another process listens there. Stop it first.");
  if (error == EEXIST) {
    return absl::FailedPreconditionError(head + "something stands there that is no socket. Move it away.");
  }
  if (error == ENOENT) return absl::NotFoundError(head + "its folder does not exist. Create it.");
  return absl::FailedPreconditionError(head + strerror(error) + ".");
}

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1})
    sigaddset(&set, number);
  return set;
}

void fill_route(const Route& route, std::vector<postern_bytes>& backs, postern_answer& answer) {
  for (const std::string& back : route.backs)
    backs.push_back(said(back));
  answer.back = backs.data();
  answer.back_count = backs.size();
  answer.pool = said(route.pool);
  answer.moving_to = said(route.moving_to);
  answer.moving_to_tls_name = said(route.moving_to_tls_name);
  answer.user = said(route.user);
  answer.password = said(route.password.reveal());
  answer.master_user = said(route.master_user);
  answer.master_password = said(route.master_password.reveal());
  answer.tls = route.tls;
  answer.tls_name = said(route.tls_name);
  answer.mechanism = said(route.mechanism);
  answer.proxy_protocol = route.proxy_protocol;
  answer.xclient = route.xclient;
  answer.sessions_max = route.sessions_max;
  answer.ttl_s = route.ttl_s;
}

}  // namespace

Daemon::Daemon(Options options, std::string file)
    : file_(std::move(file)),
      options_(std::move(options)),
      verifier_(make_verifier(options_)),
      guessing_(std::make_shared<Guessing>(
          std::move(options_.guessing), [] { return std::chrono::steady_clock::now(); }, write_log)),
      reject_delay_(options_.reject_delay),
      question_timeout_(options_.question_timeout) {}

absl::Status Daemon::run() {
  const sigset_t signals = our_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  if (const absl::Status status = listen(); !status.ok()) return status;
  for (const auto& source : verifier_->sources()) {
    // Nobody has an empty name: this only shows whether the source can be used. If not, it may mend itself; until then
    // its users hear "not now".
    const postern_question nobody{};
    const Lookup probe = source->keeps_hashes() ? source->find(Asked(nobody, "")) : UnknownUser{};
    if (const auto* failure = std::get_if<SourceFailure>(&probe)) {
      write_log(LogLine(Severity::Error, "source").add("source", source->title()).say(failure->text));
    }
    // From here on changes are seen; nobody is connected who could have missed any before.
    static_cast<void>(source->poll());
  }
  const absl::Status status = serve();
  postern_helper_unlisten(listener_, options_.socket.c_str());
  write_log(LogLine(Severity::Notice, "stopped"));
  return status;
}

absl::Status Daemon::listen() {
  const absl::StatusOr<gid_t> group = find_group(options_.socket_group);
  if (!group.ok()) return group.status();
  listener_ = postern_helper_listen(options_.socket.c_str(), options_.socket_mode, *group);
  return listener_ >= 0 ? absl::OkStatus() : listen_failure(options_.socket, errno);
}

absl::Status Daemon::serve() {
  postern_helper_options options{};
  options.listener = listener_;
  options.name = "postern-auth";
  options.context = this;
  options.verify = [](void* self, postern_helper*, postern_question* question) {
    static_cast<Daemon*>(self)->on_question(question);
  };
  options.scram = options.verify;  // told apart by the question's op
  options.admit = [](void* self, const postern_peer* peer) { return static_cast<Daemon*>(self)->on_connection(*peer); };
  helper_ = postern_helper_new(&options);
  if (helper_ == nullptr) return absl::InternalError(std::string("cannot serve: ") + strerror(errno) + ".");
  const uint32_t threads = thread_count(options_.workers, *verifier_);
  workers_ = std::make_unique<Workers>(threads, options_.queue, [this](const Workers::Job& job) { work(job); });
  write_log(LogLine(Severity::Notice, "started")
                .add("version", POSTERN_VERSION)
                .add("socket", options_.socket)
                .add("workers", uint64_t{threads})
                .add("sources", uint64_t{verifier_->sources().size()}));
  std::thread server([this] {
    serving_failed_ = postern_helper_serve(helper_) != POSTERN_FINE;
    // Whatever ended it, the main thread shall hear of it.
    kill(getpid(), SIGTERM);
  });
  wait_for_signals();
  postern_helper_stop(helper_);
  server.join();
  workers_->finish();
  postern_helper_free(helper_);
  return serving_failed_ ? absl::InternalError("the socket cannot be served any more.") : absl::OkStatus();
}

void Daemon::wait_for_signals() {
  const sigset_t signals = our_signals();
  while (true) {
    const int number = sigtimedwait(&signals, nullptr, &poll_interval);
    if (number == SIGTERM || number == SIGINT) return;
    if (number == SIGHUP) reload();
    if (number == SIGUSR1) report();
    const bool newcomer = newcomer_.exchange(false);
    for (const auto& source : verifier()->sources()) {
      tell_changes(source->poll());
      if (newcomer) tell_changes(source->recent());
    }
  }
}

// One line for each source; times are the upper bounds of a histogram.
void Daemon::report() {
  for (const auto& source : verifier()->sources()) {
    const Turnstile::Figures figures = source->turnstile().figures();
    LogLine line(Severity::Notice, "figures");
    line.add("source", source->title());
    static constexpr const char* words[] = {"found", "unknown", "refused", "failed"};
    for (size_t i = 0; i < Turnstile::results; ++i)
      line.add(words[i], figures.by_result[i]);
    line.add("turned_away", figures.turned_away);
    for (size_t i = 0; i < figures.by_time.size(); ++i) {
      const bool is_last = i == Turnstile::bounds.size();
      const std::string bound = is_last ? "more" : std::to_string(Turnstile::bounds[i].count()) + "ms";
      if (figures.by_time[i] != 0) line.add("within_" + bound, figures.by_time[i]);
    }
    write_log(line);
  }
}

void Daemon::reload() {
  ReadResult read = read_options(file_);
  for (const std::string& problem : read.problems)
    write_log(LogLine(Severity::Error, "reload").say(problem));
  if (!read.problems.empty()) {
    write_log(LogLine(Severity::Error, "reload").say("The old configuration stays in force."));
    return;
  }
  Options& now = read.options;
  if (now.socket != options_.socket || now.socket_mode != options_.socket_mode ||
      now.socket_group != options_.socket_group || now.workers != options_.workers || now.queue != options_.queue) {
    write_log(LogLine(Severity::Warning, "reload")
                  .say("Changes of socket, socket_mode, socket_group, workers and queue wait for a restart."));
  }
  auto fresh = make_verifier(now);
  for (const auto& source : fresh->sources())
    tell_changes(source->poll());
  auto guessing = std::make_shared<Guessing>(std::move(now.guessing), *this->guessing());
  {
    const std::lock_guard guard(lock_);
    verifier_ = std::move(fresh);
    options_.names = now.names;
    guessing_ = std::move(guessing);
    reject_delay_ = now.reject_delay;
    question_timeout_ = now.question_timeout;
  }
  // Anybody may be served by another source now.
  tell_changes({.all = true, .users = {}});
  write_log(LogLine(Severity::Notice, "reloaded").add("file", file_));
}

void Daemon::tell_changes(const Changes& changes) {
  if (changes.empty()) return;
  if (changes.all || changes.users.size() > names_max) {
    static_cast<void>(postern_helper_invalidate(helper_, postern_text("*")));
    return;
  }
  for (const std::string& user : changes.users) {
    for (const std::string& name : spellings(user, options_.names))
      static_cast<void>(postern_helper_invalidate(helper_, {name.data(), name.size()}));
  }
}

std::shared_ptr<Verifier> Daemon::verifier() {
  const std::lock_guard guard(lock_);
  return verifier_;
}

std::shared_ptr<Guessing> Daemon::guessing() {
  const std::lock_guard guard(lock_);
  return guessing_;
}

int Daemon::on_connection(const postern_peer& peer) {
  newcomer_ = true;
  write_log(
      LogLine(Severity::Info, "connected").add("pid", static_cast<uint64_t>(peer.pid)).add("uid", uint64_t{peer.uid}));
  return 1;
}

void Daemon::on_question(postern_question* question) {
  if (workers_->add(question)) return;
  Decision decision;
  decision.why = "too many questions at a time";
  answer(question, decision);
}

void Daemon::work(const Workers::Job& job) {
  Decision decision;
  Duration timeout;
  {
    const std::lock_guard guard(lock_);
    timeout = question_timeout_;
  }
  if (std::chrono::steady_clock::now() - job.arrived > timeout) {
    decision.why = "the question has waited too long for a worker";
  } else {
    const bool is_scram = view(job.question->op) == "scram";
    const std::shared_ptr<Verifier> verifier = this->verifier();
    // Guessing: whoever has tried too many passwords gets no answer from the verifier.
    decision = guarded(*guessing(), verifier->names(), *job.question,
                       [&] { return is_scram ? verifier->keys(*job.question) : verifier->verify(*job.question); });
  }
  answer(job.question, decision);
}

void Daemon::answer(postern_question* question, const Decision& decision) {
  log_decision(*question, decision);
  postern_answer answer{};
  std::vector<postern_bytes> backs;
  answer.result = decision.result;
  answer.reason = decision.reason;
  if (decision.result == POSTERN_OK) fill_route(decision.route, backs, answer);
  if (decision.scram) {
    answer.iterations = decision.scram->iterations;
    answer.salt = {decision.scram->salt.data(), decision.scram->salt.size()};
    answer.stored_key = {decision.scram->stored_key.reveal().data(), decision.scram->stored_key.size()};
    answer.server_key = {decision.scram->server_key.reveal().data(), decision.scram->server_key.size()};
  }
  if (decision.result == POSTERN_REJECT) {
    const std::lock_guard guard(lock_);
    answer.delay_ms = static_cast<uint32_t>(std::max(decision.delay, reject_delay_).count());
    answer.code = said(decision.code);
  }
  answer.text = said(decision.text);
  // Each wrong guess would be remembered as a good login, for the mail server to refuse.
  if (decision.check_at_back || !decision.remember) answer.cache = POSTERN_NO;
  if (decision.vary_client) answer.vary = postern_text("client");
  if (postern_helper_answer(helper_, question, &answer) != POSTERN_FINE) {
    write_log(LogLine(Severity::Error, "answer")
                  .add("source", decision.source)
                  .say("The answer does not fit into a line of the protocol; the gate heard \"unavailable\"."));
  }
}

// Logins that succeed are the gate's to log.
void Daemon::log_decision(const postern_question& question, const Decision& decision) {
  if (decision.result == POSTERN_OK) return;
  const bool rejected = decision.result == POSTERN_REJECT;
  LogLine line(rejected ? Severity::Info : Severity::Error, rejected ? "reject" : "unavailable");
  line.add("user", view(question.user)).add("client", view(question.client));
  if (question.session.data != nullptr) line.add("session", view(question.session));
  if (!decision.source.empty()) line.add("source", decision.source);
  if (!decision.label.empty()) line.add("password_label", decision.label);
  write_log(line.say(decision.why));
}

}  // namespace postern::helper
