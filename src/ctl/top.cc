// SPDX-License-Identifier: GPL-3.0-or-later
// Plain control sequences (ECMA-48) that every terminal of today knows; so there is no library for one screen.
#include "ctl/top.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_format.h"

namespace postern::ctl {
namespace {

constexpr Duration interval = std::chrono::seconds(1);
constexpr Duration patience = std::chrono::seconds(10);

volatile sig_atomic_t ended = 0;
void on_signal(int) {
  ended = 1;
}

uint64_t at(const Json& json, std::initializer_list<const char*> path) {
  const Json* here = &json;
  for (const char* key : path) {
    if (!here->is_object()) return 0;
    const auto found = here->find(key);
    if (found == here->end()) return 0;
    here = &*found;
  }
  return here->is_number() ? here->get<uint64_t>() : 0;
}

std::string text(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? printable(found->get_ref<const std::string&>()) : "";
}

// The terminal as it was comes back when this dies.
class Terminal {
 public:
  Terminal() {
    is_terminal_ =
        ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0 && ::tcgetattr(STDIN_FILENO, &before_) == 0;
    if (!is_terminal_) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    // The other screen, without a cursor.
    put("\x1b[?1049h\x1b[?25l");
  }
  ~Terminal() {
    if (!is_terminal_) return;
    put("\x1b[?25h\x1b[?1049l");
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  bool is_terminal() const { return is_terminal_; }
  static void put(const std::string& bytes) {
    fwrite(bytes.data(), 1, bytes.size(), stdout);
    fflush(stdout);
  }

 private:
  termios before_{};
  bool is_terminal_ = false;
};

// All documents of one answer.
absl::StatusOr<std::vector<Json>> ask_all(Link& link, const std::string& op) {
  if (const absl::Status status = link.ask({{"op", op}}); !status.ok()) return status;
  std::vector<Json> documents;
  while (true) {
    absl::StatusOr<std::optional<std::string>> line = link.next(patience);
    if (!line.ok()) return line.status();
    if (ended != 0) return documents;
    if (!*line) return absl::DeadlineExceededError("the gate does not answer");
    Json document = Json::parse(**line, nullptr, false);
    if (!document.is_object()) return absl::InternalError("what answers there is no Postern gate");
    const bool last = document.contains("result");
    documents.push_back(std::move(document));
    if (last) return documents;
  }
}

// True when it is time to go.
bool wait_for_key(Duration wait) {
  const Instant due = std::chrono::steady_clock::now() + wait;
  while (ended == 0) {
    const auto left = std::chrono::ceil<Duration>(due - std::chrono::steady_clock::now());
    if (left <= Duration::zero()) return false;
    pollfd waiting{STDIN_FILENO, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) continue;
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q') return true;
  }
  return true;
}

}  // namespace

std::string screen(const Json& status, const Json& before, double seconds, const std::vector<Json>& backends,
                   size_t columns, size_t rows) {
  const auto rate = [&](std::initializer_list<const char*> path) -> double {
    const uint64_t now = at(status, path), then = at(before, path);
    return before.is_object() && seconds > 0 && now >= then ? static_cast<double>(now - then) / seconds : 0;
  };
  std::vector<std::string> lines;
  lines.push_back(absl::StrFormat("Postern %s   up %s   %u reactors   q quits", text(status, "version"),
                                  age_text(at(status, {"uptime_seconds"})), at(status, {"reactors"})));
  lines.emplace_back();
  lines.push_back(absl::StrFormat("%-18s %10s %12s", "", "now", "a second"));
  lines.push_back(absl::StrFormat("%-18s %10u", "sessions", at(status, {"sessions"})));
  lines.push_back(absl::StrFormat("%-18s %10s %12.1f", "connections", "", rate({"accepted"})));
  lines.push_back(absl::StrFormat("%-18s %10s %12.1f   resumed %.1f, failed %.1f", "handshakes", "",
                                  rate({"handshakes", "done"}), rate({"handshakes", "resumed"}),
                                  rate({"handshakes", "failed"})));
  lines.push_back(absl::StrFormat("%-18s %10s %12.1f   refused %.1f, not now %.1f", "logins", "",
                                  rate({"logins", "accepted"}), rate({"logins", "refused"}),
                                  rate({"logins", "unavailable"})));
  lines.push_back(absl::StrFormat("%-18s %10u %12s   timed out %u", "helper's questions",
                                  at(status, {"helper", "in_flight"}), "", at(status, {"helper", "timed_out"})));
  lines.push_back(absl::StrFormat("%-18s %10u %12.1f   misses %.1f", "cache", at(status, {"cache", "entries"}),
                                  rate({"cache", "hits"}), rate({"cache", "misses"})));
  lines.push_back(
      absl::StrFormat("%-18s %10s %12s", "bytes in", "", size_text(static_cast<uint64_t>(rate({"bytes_in"})))));
  lines.push_back(
      absl::StrFormat("%-18s %10s %12s", "bytes out", "", size_text(static_cast<uint64_t>(rate({"bytes_out"})))));
  std::string states;
  if (const auto found = status.find("states"); found != status.end() && found->is_object()) {
    for (const auto& [state, count] : found->items()) {
      if (count.is_number() && count != 0)
        states += absl::StrFormat("%s%s %s", states.empty() ? "" : "  ", printable(state), count.dump());
    }
  }
  lines.emplace_back();
  lines.push_back(states.empty() ? "no sessions" : states);
  lines.emplace_back();
  lines.push_back(absl::StrFormat("%-20s %-28s %-9s %8s", "POOL", "MAIL SERVER", "STATE", "SESSIONS"));
  for (const Json& back : backends) {
    if (!back.contains("pool")) continue;
    lines.push_back(absl::StrFormat("%-20s %-28s %-9s %8u", text(back, "pool"), text(back, "back"), text(back, "state"),
                                    at(back, {"sessions"})));
  }
  std::string screen;
  const size_t shown = std::min(lines.size(), rows);
  for (size_t i = 0; i < shown; ++i) {
    // The rest of the line, and of the screen below, is cleared; the last line does not scroll.
    screen += lines[i].substr(0, columns) + "\x1b[K";
    if (i + 1 < shown) screen += "\r\n";
  }
  return screen + "\x1b[J";
}

absl::Status show_top(Link& link) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    ::sigaction(number, &action, nullptr);
  Terminal terminal;
  if (!terminal.is_terminal())
    return absl::FailedPreconditionError("top needs a terminal; posternctl status --json is for programs");
  Json before;
  Instant before_at = std::chrono::steady_clock::now();
  while (true) {
    absl::StatusOr<std::vector<Json>> status = ask_all(link, "status");
    if (!status.ok()) return status.status();
    absl::StatusOr<std::vector<Json>> backends = ask_all(link, "backends");
    if (!backends.ok()) return backends.status();
    if (ended != 0 || status->empty()) return absl::OkStatus();
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) size = {24, 80, 0, 0};
    const Instant now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - before_at).count();
    Terminal::put("\x1b[H" + screen(status->back(), before, seconds, *backends, size.ws_col, size.ws_row));
    before = std::move(status->back());
    before_at = now;
    if (wait_for_key(interval)) return absl::OkStatus();
  }
}

}  // namespace postern::ctl
