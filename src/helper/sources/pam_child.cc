// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/pam_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "helper/socket_wait.h"

namespace postern::helper {
namespace {

// Modules leak. A start costs some milliseconds, so this many questions make it cheap.
constexpr uint32_t questions_max = 1000;

// After its socket has ended, how long a child may take to end as well, before it is killed.
constexpr int end_wait_ms = 1000;

class Spawning {
 public:
  Spawning() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~Spawning() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  Spawning(const Spawning&) = delete;
  Spawning& operator=(const Spawning&) = delete;

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

// Of the daemon the child gets the log, and nothing else: not its files, not its signal mask, not its process group.
int spawn(const char* service, const char* folder, int socket, pid_t& pid) {
  Spawning how;
  posix_spawn_file_actions_adddup2(&how.actions, socket, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&how.actions, STDERR_FILENO, STDOUT_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&how.actions, STDERR_FILENO + 1);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&how.attributes, &none);
  posix_spawnattr_setsigdefault(&how.attributes, &all);
  posix_spawnattr_setpgroup(&how.attributes, 0);
  posix_spawnattr_setflags(&how.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::string words[] = {"postern-auth", pam_worker_word, service, folder};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  // The file itself, whatever an upgrade has put in its place: both ends speak the same structs.
  return posix_spawn(&pid, "/proc/self/exe", &how.actions, &how.attributes, arguments, environ);
}

}  // namespace

absl::StatusOr<std::unique_ptr<PamChild>> PamChild::start(const std::string& service, const std::string& folder) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::ResourceExhaustedError(std::string("cannot make a socket for PAM: ") + strerror(errno));
  }
  pid_t pid = -1;
  const int error = spawn(service.c_str(), folder.c_str(), ends[1], pid);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    return absl::ResourceExhaustedError(std::string("cannot start a process for PAM: ") + strerror(error));
  }
  return std::unique_ptr<PamChild>(new PamChild(pid, ends[0]));
}

PamChild::~PamChild() {
  if (pid_ > 0) {
    kill(-pid_, SIGKILL);
    // Before it has got its own process group.
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(socket_);
}

absl::StatusOr<PamAnswer> PamChild::ask(const PamAsked& asked, Instant deadline) {
  ++questions_;
  PamAnswer answer;
  if (send(socket_, &asked, sizeof asked, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof asked)) {
    return absl::UnavailableError(how_it_ended());
  }
  if (!wait_for(socket_, POLLIN, deadline)) {
    return absl::DeadlineExceededError("PAM's modules did not answer in time; their process is killed");
  }
  if (recv(socket_, &answer, sizeof answer, 0) != static_cast<ssize_t>(sizeof answer)) {
    return absl::UnavailableError(how_it_ended());
  }
  answer.doing[sizeof answer.doing - 1] = '\0';
  answer.meaning[sizeof answer.meaning - 1] = '\0';
  return answer;
}

bool PamChild::is_ready() const {
  return questions_ < questions_max && !has_hung_up(socket_);
}

std::string PamChild::how_it_ended() {
  int status = 0;
  for (int waited_ms = 0; waited_ms < end_wait_ms; ++waited_ms) {
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      // What its modules have started.
      kill(-std::exchange(pid_, -1), SIGKILL);
      if (WIFSIGNALED(status)) {
        return std::string("a PAM module crashed its process: ") + strsignal(WTERMSIG(status));
      }
      return "a PAM module ended its process with status " + std::to_string(WEXITSTATUS(status));
    }
    poll(nullptr, 0, 1);
  }
  return "a PAM module has closed its process's socket";
}

}  // namespace postern::helper
