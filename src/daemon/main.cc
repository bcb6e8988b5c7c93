// SPDX-License-Identifier: GPL-3.0-or-later
// postern: the gate. main() is the list of its steps.
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "config/config.h"
#include "daemon/gate.h"
#include "daemon/plan.h"
#include "daemon/setup.h"
#include "tls/context.h"

namespace postern::daemon {
namespace {

constexpr char usage[] =
    "postern: the mail gate\n"
    "\n"
    "usage: postern [-c FILE]            serve, as FILE says\n"
    "       postern --check [-c FILE]    say everything that is wrong with FILE, and serve nothing\n"
    "       postern plan N [--json] [-c FILE]\n"
    "                                    say what N sessions need, and what of it this machine lacks\n"
    "       postern --settings           list every setting with its default and its meaning\n"
    "       postern --version | --help\n"
    "\n"
    "FILE is /etc/postern/postern.toml unless told otherwise.\n"
    "SIGHUP reads FILE anew, SIGTERM drains and ends, SIGUSR1 logs a line of figures for each reactor,\n"
    "SIGUSR2 starts the program anew and hands the doors over to it.\n";

struct Command {
  enum class What { Serve, Check, Plan, Settings, Version, Help } what = What::Serve;
  std::string file = "/etc/postern/postern.toml";
  uint64_t sessions = 0;  // of Plan
  bool json = false;      // likewise
};

std::optional<Command> parse(int argc, char** argv) {
  static constexpr option options[] = {{"config", required_argument, nullptr, 'c'},
                                       {"check", no_argument, nullptr, 'k'},
                                       {"settings", no_argument, nullptr, 's'},
                                       {"version", no_argument, nullptr, 'V'},
                                       {"help", no_argument, nullptr, 'h'},
                                       {"json", no_argument, nullptr, 'j'},
                                       {nullptr, 0, nullptr, 0}};
  Command command;
  int letter;
  while ((letter = getopt_long(argc, argv, "c:h", options, nullptr)) != -1) {
    switch (letter) {
      case 'c': command.file = optarg; break;
      case 'k': command.what = Command::What::Check; break;
      case 's': command.what = Command::What::Settings; break;
      case 'V': command.what = Command::What::Version; break;
      case 'j': command.json = true; break;
      case 'h': command.what = Command::What::Help; break;
      default: return std::nullopt;
    }
  }
  if (optind < argc && strcmp(argv[optind], "plan") == 0 && command.what == Command::What::Serve) {
    command.what = Command::What::Plan;
    if (optind + 1 == argc || !absl::SimpleAtoi(argv[optind + 1], &command.sessions) || command.sessions == 0 ||
        command.sessions > plan_sessions_max) {
      fprintf(stderr, "postern: plan needs a number of sessions, from 1 to %llu\n",
              static_cast<unsigned long long>(plan_sessions_max));
      return std::nullopt;
    }
    optind += 2;
  }
  if (command.json && command.what != Command::What::Plan) {
    fprintf(stderr, "postern: --json goes with plan\n");
    return std::nullopt;
  }
  if (optind != argc) {
    fprintf(stderr, "postern: unexpected argument \"%s\"\n", argv[optind]);
    return std::nullopt;
  }
  return command;
}

// Prints problems and warnings; the configuration if there is none of the former.
std::optional<config::Config> load(const std::string& file) {
  config::LoadResult result = config::load_file(file);
  for (const config::Problem& warning : result.warnings)
    fprintf(stderr, "warning: %s\n", warning.sentence().c_str());
  for (const config::Problem& problem : result.problems)
    fprintf(stderr, "%s\n", problem.sentence().c_str());
  return std::move(result.config);
}

int fail(const absl::Status& status) {
  fprintf(stderr, "postern: %s\n", std::string(status.message()).c_str());
  return 1;
}

int check(const std::string& file) {
  const std::optional<config::Config> config = load(file);
  if (!config) return 1;
  // The certificates themselves, too: a key that does not fit is found now, not at the next start.
  tls::TicketKeys tickets;
  certificates::Store store = store_of(*config, tickets);
  std::vector<certificates::Note> notes;
  if (const absl::Status status = store.load(notes); !status.ok()) return fail(status);
  store.note_expiries(time(nullptr), notes);
  for (const certificates::Note& note : notes)
    fprintf(stderr, "warning: %s: %s\n", note.file.c_str(), note.text.c_str());
  if (const auto setup = build_setup(*config, store); !setup.ok()) return fail(setup.status());
  printf("%s: no errors\n", file.c_str());
  return 0;
}

// Where this program's file lies: after an upgrade of the package, the new one lies there.
std::string own_file() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : std::string("/proc/self/exe");
}

// 0 if it fits, 3 if not.
int say_plan(const Command& command) {
  const std::optional<config::Config> config = load(command.file);
  if (!config) return 1;
  const Plan result = plan(*config, command.sessions, this_machine());
  fputs((command.json ? plan_json(result) : plan_text(result)).c_str(), stdout);
  return result.fits() ? 0 : 3;
}

int serve(const std::string& file) {
  std::optional<Predecessor> predecessor = Predecessor::find();
  std::optional<config::Config> config = load(file);
  if (!config) return 1;
  Gate gate(*std::move(config), {own_file(), "-c", file});
  const absl::Status status = predecessor ? gate.start(*std::move(predecessor)) : gate.start();
  if (!status.ok()) return fail(status);
  gate.run();
  return 0;
}

// Signals are read by the main thread, from a descriptor; no thread is ever interrupted by one.
void block_signals() {
  const sigset_t signals = Gate::signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

}  // namespace
}  // namespace postern::daemon

int main(int argc, char** argv) {
  using postern::daemon::Command;
  const std::optional<Command> command = postern::daemon::parse(argc, argv);
  if (!command) {
    fputs(postern::daemon::usage, stderr);
    return 2;
  }
  postern::daemon::block_signals();
  postern::tls::start_library();
  switch (command->what) {
    case Command::What::Help: fputs(postern::daemon::usage, stdout); return 0;
    case Command::What::Version: printf("postern %s\n", POSTERN_VERSION); return 0;
    case Command::What::Settings: fputs(postern::config::settings_text().c_str(), stdout); return 0;
    case Command::What::Check: return postern::daemon::check(command->file);
    case Command::What::Plan: return postern::daemon::say_plan(*command);
    case Command::What::Serve: return postern::daemon::serve(command->file);
  }
  return 2;
}
