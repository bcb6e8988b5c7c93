// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/passwords/password_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <utility>

#include "base/secret_buffer.h"
#include "helper/passwords/passwords.h"

namespace postern::helper {
namespace {

volatile sig_atomic_t interrupted = 0;

constexpr int interrupts[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

// A terminal that does not show what is typed; as it was before at the end of the scope, also after Control-C.
class QuietTerminal {
 public:
  QuietTerminal() : descriptor_(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
    if (descriptor_ < 0 || tcgetattr(descriptor_, &before_) != 0) return;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };
    // Let in only while a key is awaited: a Control-C just before that must not be slept over.
    sigset_t held;
    sigemptyset(&held);
    for (const int number : interrupts)
      sigaddset(&held, number);
    sigprocmask(SIG_BLOCK, &held, &mask_before_);
    for (size_t i = 0; i < std::size(interrupts); ++i)
      sigaction(interrupts[i], &action, &handlers_[i]);
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ready_ = tcsetattr(descriptor_, TCSAFLUSH, &quiet) == 0;
  }
  ~QuietTerminal() {
    if (ready_) {
      tcsetattr(descriptor_, TCSAFLUSH, &before_);
      for (size_t i = 0; i < std::size(interrupts); ++i)
        sigaction(interrupts[i], &handlers_[i], nullptr);
      sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
    }
    if (descriptor_ >= 0) close(descriptor_);
  }
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;

  bool ready() const { return ready_; }
  // The signals to let in while waiting.
  const sigset_t* mask() const { return &mask_before_; }
  int descriptor() const { return descriptor_; }
  void say(const std::string& text) const { static_cast<void>(!write(descriptor_, text.data(), text.size())); }

 private:
  int descriptor_;
  bool ready_ = false;
  termios before_{};
  sigset_t mask_before_{};
  struct sigaction handlers_[std::size(interrupts)]{};
};

// `mask`: the signals to let in while waiting for a byte; null: as they are.
absl::StatusOr<Secret> read_line(int descriptor, const sigset_t* mask = nullptr) {
  SecretBuffer line;
  while (line.size() <= password_size_max) {
    pollfd waiting{descriptor, POLLIN, 0};
    if (mask != nullptr) static_cast<void>(ppoll(&waiting, 1, nullptr, mask));
    if (interrupted != 0) return absl::CancelledError("Cancelled.");
    if (mask != nullptr && waiting.revents == 0) continue;
    char c = 0;
    const ssize_t size = read(descriptor, &c, 1);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return absl::InternalError(std::string("The password cannot be read: ") + strerror(errno) + ".");
    if (size == 0 && line.empty()) return absl::InvalidArgumentError("There is no password in the input.");
    if (size == 0 || c == '\n') return line.take();
    line.append(c);
  }
  return absl::InvalidArgumentError("The password is longer than " + std::to_string(password_size_max) + " bytes.");
}

}  // namespace

absl::StatusOr<Secret> read_password_line() {
  return read_line(STDIN_FILENO);
}

absl::StatusOr<Secret> ask_password(const std::string& prompt) {
  const QuietTerminal terminal;
  if (!terminal.ready()) {
    return absl::FailedPreconditionError("There is no terminal to ask on. Use --password-stdin.");
  }
  terminal.say(prompt + ": ");
  absl::StatusOr<Secret> first = read_line(terminal.descriptor(), terminal.mask());
  terminal.say("\n");
  if (!first.ok()) return first;
  terminal.say("Again: ");
  absl::StatusOr<Secret> second = read_line(terminal.descriptor(), terminal.mask());
  terminal.say("\n");
  if (!second.ok()) return second;
  if (!(*first == *second)) return absl::InvalidArgumentError("The two are not the same. Nothing was changed.");
  return first;
}

}  // namespace postern::helper
