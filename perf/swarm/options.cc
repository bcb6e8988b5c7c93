// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/swarm/options.h"

#include <getopt.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include "perf/wire/machine.h"

namespace postern::swarm {
namespace {

constexpr const char* help =
    R"(Usage: postern-swarm hold|login|ping|fetch ADDRESS:PORT [option ...]

Plays thousands of mail programs over TLS and prints what happened as one JSON object.

  hold     opens --sessions, logs in, stays --for SECONDS (or until SIGUSR1, SIGTERM, SIGINT) and counts who was lost
  login    connects, logs in and out --count times, --concurrency at a time or --rate a second
  ping     sends --count NOOPs over --sessions established sessions, each waiting for its answer, or --rate a second
  fetch    fetches the mail over --sessions established sessions until --bytes came; not in submission

Where to and how:
  --protocol NAME         imap, pop3 or submission (imap)
  --plain                 no TLS (default: TLS from the first byte)
  --tls-version 1.2|1.3   exactly this one (1.3)
  --cipher NAME           exactly this one (TLS_AES_128_GCM_SHA256)
  --groups LIST           key exchange groups (X25519:P-256)
  --sni NAME              server name to ask for
  --alpn NAME             protocol to ask for, such as imap
  --source ADDRESS        first address to come from, such as 127.1.0.1
  --sources N             so many addresses from there on, in turn (1)
  --cpu N                 stay on this core

Who:
  --user PATTERN          %d becomes the user's number (user%d@example.test)
  --password WORD         (secret)
  --users N               so many different users (1000)
  --first-user N          the first one's number (0)

How much:
  --sessions N            established sessions (100)
  --concurrency N         logins under way at a time (64)
  --count N               logins or requests (1000)
  --rate N                logins or requests a second; latency then counts from when each was due
  --bytes N               bytes of mail (1073741824)
  --size N                fetch only the first N bytes of the mail each time (POP3: as many lines as have them, at 64
                          bytes a line)
  --resume                login: resume the TLS session by ticket, as a mail program does that comes back
  --exercise N            after login each session asks NOOP and fetches N bytes (submission: NOOP only), so that it has
                          relayed before it rests
  --idle                  hold: rest in IDLE; IMAP only
  --no-check              hold: do not ask NOOP of each session at the end
  --for SECONDS           hold: stay so long (10)
  --answer-timeout S      give a session up that waits longer (30)
  --faults-max N          begin nothing new after N faults (no limit)
  --time-max S            end everything after this time (600)
  --step                  say "ready" on standard error and wait for a line on standard input before what is measured
                          (hold: instead of --for), then say "done" and wait again before the sessions are closed

Exit status: 0 all went well, 1 something was lost or refused (see "faults"), 2 wrong command line.
)";

enum Key : int {
  Protocol = 1,
  Plain,
  TlsVersion,
  Cipher,
  Groups,
  Sni,
  Alpn,
  Source,
  Sources,
  Cpu,
  User,
  Password,
  Users,
  FirstUser,
  Sessions,
  Concurrency,
  Count,
  Rate,
  Bytes,
  Size,
  Resume,
  Exercise,
  Idle,
  NoCheck,
  For,
  AnswerTimeout,
  FaultsMax,
  TimeMax,
  Step,
  Help,
};

constexpr option known[] = {{"protocol", required_argument, nullptr, Protocol},
                            {"plain", no_argument, nullptr, Plain},
                            {"tls-version", required_argument, nullptr, TlsVersion},
                            {"cipher", required_argument, nullptr, Cipher},
                            {"groups", required_argument, nullptr, Groups},
                            {"sni", required_argument, nullptr, Sni},
                            {"alpn", required_argument, nullptr, Alpn},
                            {"source", required_argument, nullptr, Source},
                            {"sources", required_argument, nullptr, Sources},
                            {"cpu", required_argument, nullptr, Cpu},
                            {"user", required_argument, nullptr, User},
                            {"password", required_argument, nullptr, Password},
                            {"users", required_argument, nullptr, Users},
                            {"first-user", required_argument, nullptr, FirstUser},
                            {"sessions", required_argument, nullptr, Sessions},
                            {"concurrency", required_argument, nullptr, Concurrency},
                            {"count", required_argument, nullptr, Count},
                            {"rate", required_argument, nullptr, Rate},
                            {"bytes", required_argument, nullptr, Bytes},
                            {"size", required_argument, nullptr, Size},
                            {"resume", no_argument, nullptr, Resume},
                            {"exercise", required_argument, nullptr, Exercise},
                            {"idle", no_argument, nullptr, Idle},
                            {"no-check", no_argument, nullptr, NoCheck},
                            {"for", required_argument, nullptr, For},
                            {"answer-timeout", required_argument, nullptr, AnswerTimeout},
                            {"faults-max", required_argument, nullptr, FaultsMax},
                            {"time-max", required_argument, nullptr, TimeMax},
                            {"step", no_argument, nullptr, Step},
                            {"help", no_argument, nullptr, Help},
                            {nullptr, 0, nullptr, 0}};

std::optional<Mode> mode_of(std::string_view word) {
  constexpr std::array<std::pair<std::string_view, Mode>, 4> modes{
      {{"hold", Mode::Hold}, {"login", Mode::Login}, {"ping", Mode::Ping}, {"fetch", Mode::Fetch}}};
  for (const auto& [name, mode] : modes) {
    if (name == word) return mode;
  }
  return std::nullopt;
}

// Every number of the command line is a count, a size or a time: not negative and below 10^15.
std::optional<double> number_of(const char* text) {
  char* end = nullptr;
  const double number = std::strtod(text, &end);
  if (end == text || *end != '\0' || !(number >= 0 && number < 1e15)) return std::nullopt;
  return number;
}

std::chrono::milliseconds seconds(double number) {
  return std::chrono::milliseconds(static_cast<int64_t>(number < 1e9 ? number * 1000 : 1e12));
}

// Options that are words or switches. False: `key` wants a number.
bool take_word(int key, const char* word, Options& options) {
  switch (key) {
    case Plain: options.plain = true; return true;
    case TlsVersion: options.tls.version = word; return true;
    case Cipher: options.tls.cipher = word; return true;
    case Groups: options.tls.groups = word; return true;
    case Sni: options.sni = word; return true;
    case Alpn: options.alpn = word; return true;
    case User: options.user = word; return true;
    case Password: options.password = word; return true;
    case Resume: options.resume = true; return true;
    case Idle: options.idle = true; return true;
    case NoCheck: options.check = false; return true;
    case Step: options.step = true; return true;
    default: return false;
  }
}

void take_number(int key, double number, Options& options) {
  const auto whole = static_cast<uint64_t>(number);
  const auto small = static_cast<uint32_t>(number < 1e6 ? number : 1e6);
  switch (key) {
    case Sources: options.sources = small; break;
    case Cpu: options.core = static_cast<int>(small); break;
    case Users: options.users = small > 0 ? small : 1; break;
    case FirstUser: options.first_user = small; break;
    case Sessions: options.sessions = small; break;
    case Concurrency: options.concurrency = small > 0 ? small : 1; break;
    case Count: options.count = whole; break;
    case Rate: options.rate = number; break;
    case Bytes: options.bytes = whole; break;
    case Size: options.size = whole; break;
    case Exercise: options.exercise = whole; break;
    case FaultsMax: options.faults_max = whole; break;
    case For: options.stay = seconds(number); break;
    case AnswerTimeout: options.answer_timeout = seconds(number); break;
    case TimeMax: options.time_max = seconds(number); break;
    default: break;
  }
}

Reading wrong(const char* format, const char* word) {
  std::fprintf(stderr, "postern-swarm: ");
  std::fprintf(stderr, format, word);
  std::fprintf(stderr, "; see postern-swarm --help\n");
  return Reading::Wrong;
}

bool take_source(const char* word, Options& options) {
  const auto source = Endpoint::parse(word, 1);
  if (!source) return wrong("\"%s\" is not an address", word), false;
  options.source = *source;
  if (options.sources == 0) options.sources = 1;
  return true;
}

bool take_protocol(const char* word, Options& options) {
  const auto protocol = wire::protocol_of(word);
  if (!protocol) return wrong("\"%s\" is not imap, pop3 or submission", word), false;
  options.protocol = *protocol;
  return true;
}

// What goes together and what does not.
Reading check(const Options& options) {
  if (options.sources > 0 && options.source.port == 0) return wrong("%s", "--sources wants --source");
  if (options.sources > 0 && options.source.v6 != options.front.v6) return wrong("%s", "--source is of another family");
  if (options.mode == Mode::Fetch && !can_fetch(options.protocol))
    return wrong("%s", "submission has nothing to fetch");
  if (options.idle && options.protocol != wire::Protocol::Imap) return wrong("%s", "--idle is for IMAP only");
  return Reading::Run;
}

}  // namespace

Reading read_options(int count, char** words, Options& options) {
  for (int key = 0; (key = ::getopt_long(count, words, "", known, nullptr)) != -1;) {
    if (key == '?') return Reading::Wrong;
    if (key == Help) return std::fputs(help, stdout), Reading::Helped;
    if (key == Source || key == Protocol) {
      if (!(key == Source ? take_source(optarg, options) : take_protocol(optarg, options))) return Reading::Wrong;
      continue;
    }
    if (take_word(key, optarg, options)) continue;
    const auto number = number_of(optarg);
    if (!number) return wrong("\"%s\" is not a number", optarg);
    take_number(key, *number, options);
  }
  if (count - optind != 2) return wrong("%s and the gate's address are wanted", "hold, login, ping or fetch");
  const auto mode = mode_of(words[optind]);
  if (!mode) return wrong("\"%s\" is not hold, login, ping or fetch", words[optind]);
  options.mode = *mode;
  const auto front = wire::parse_endpoint(words[optind + 1], false);
  if (!front.ok()) return wrong("%s", std::string(front.status().message()).c_str());
  options.front = *front;
  return check(options);
}

}  // namespace postern::swarm
