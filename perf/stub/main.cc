// SPDX-License-Identifier: GPL-3.0-or-later
// postern-mailstub: a simulated mail server to put behind a gate under test, and what gates ask before they go there.
#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "perf/stub/server.h"

namespace postern::mailstub {
namespace {

constexpr const char* help =
    R"(Usage: postern-mailstub --listen|--pop3|--submission ADDRESS:PORT [option ...]

A simulated mail server for load tests: it lets everybody in and has one mail. One thread; tens of thousands of
connections. Port 0 takes a free port. Each listener is told on standard output as "KIND ADDRESS:PORT" or "helper PATH",
then "ready". Ends at SIGTERM or SIGINT.

  --listen ADDRESS:PORT     IMAP; this and the next two may be given several times, and one of them is wanted
  --pop3 ADDRESS:PORT       POP3
  --submission ADDRESS:PORT SMTP submission; mails are taken and forgotten
  --auth-http ADDRESS:PORT  answer nginx's auth_http questions with the protocol's addresses, in turn
  --helper PATH             answer the gate's questions (postern-helper protocol) on this Unix socket, likewise
  --helper-fields PAIRS     append these form-urlencoded pairs to each answer to the gate, such as ttl=300
  --mail BYTES              size of the mail (16777216); FETCH 1 BODY[]<0.N> gets N bytes of it, TOP 1 N as many lines
  --chain FILE --key FILE   speak TLS from the first byte on the mail listeners (PEM)
  --cpu N                   stay on this core
  --help
)";

struct Wish {
  std::vector<std::pair<wire::Protocol, std::string>> listen;
  std::string auth_http;
  std::string helper;
  std::string chain;
  std::string key;
  int core = -1;
  Server::Options server;
};

enum Key : int { Imap = 1, Pop3, Submission, AuthHttp, Helper, HelperFields, Mail, Chain, PrivateKey, Cpu, Help };

constexpr option known[] = {{"listen", required_argument, nullptr, Imap},
                            {"pop3", required_argument, nullptr, Pop3},
                            {"submission", required_argument, nullptr, Submission},
                            {"auth-http", required_argument, nullptr, AuthHttp},
                            {"helper", required_argument, nullptr, Helper},
                            {"helper-fields", required_argument, nullptr, HelperFields},
                            {"mail", required_argument, nullptr, Mail},
                            {"chain", required_argument, nullptr, Chain},
                            {"key", required_argument, nullptr, PrivateKey},
                            {"cpu", required_argument, nullptr, Cpu},
                            {"help", no_argument, nullptr, Help},
                            {nullptr, 0, nullptr, 0}};

bool read_number(const char* text, uint64_t& number) {
  const char* end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, number);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

// False: the command line was wrong, and it was said why.
bool read_options(int count, char** words, Wish& wish) {
  uint64_t number = 0;
  for (int key = 0; (key = ::getopt_long(count, words, "", known, nullptr)) != -1;) {
    switch (key) {
      case Imap: wish.listen.emplace_back(wire::Protocol::Imap, optarg); break;
      case Pop3: wish.listen.emplace_back(wire::Protocol::Pop3, optarg); break;
      case Submission: wish.listen.emplace_back(wire::Protocol::Submission, optarg); break;
      case AuthHttp: wish.auth_http = optarg; break;
      case Helper: wish.helper = optarg; break;
      case HelperFields: wish.server.helper_fields = std::string("&") + optarg; break;
      case Chain: wish.chain = optarg; break;
      case PrivateKey: wish.key = optarg; break;
      case Mail:
        if (!read_number(optarg, wish.server.mail_size)) return std::fprintf(stderr, "--mail wants a number\n"), false;
        break;
      case Cpu:
        if (!read_number(optarg, number) || number > 4096) return std::fprintf(stderr, "--cpu wants a core\n"), false;
        wish.core = static_cast<int>(number);
        break;
      case Help: std::fputs(help, stdout); std::exit(0);
      default: return false;
    }
  }
  if (optind < count) return std::fprintf(stderr, "unexpected word: %s\n", words[optind]), false;
  if (wish.listen.empty()) return std::fprintf(stderr, "nowhere to listen; see --help\n"), false;
  if (wish.chain.empty() != wish.key.empty()) return std::fprintf(stderr, "--chain and --key go together\n"), false;
  return true;
}

// Listens there and says so; `kind` is the word for it.
absl::StatusOr<int> listen_aloud(const std::string& where, std::string_view kind) {
  auto endpoint = wire::parse_endpoint(where, true);
  if (!endpoint.ok()) return endpoint.status();
  auto listener = wire::listen_tcp(*endpoint);
  if (!listener.ok()) return listener.status();
  std::printf("%s %s\n", std::string(kind).c_str(), wire::bound_endpoint(*listener).text().c_str());
  return *listener;
}

absl::Status add_listeners(Server& server, const Wish& wish) {
  for (const auto& [protocol, where] : wish.listen) {
    auto listener = listen_aloud(where, wire::protocol_word(protocol));
    if (!listener.ok()) return listener.status();
    if (absl::Status added = server.add_mail_listener(*listener, protocol); !added.ok()) return added;
  }
  if (!wish.auth_http.empty()) {
    auto listener = listen_aloud(wish.auth_http, "auth-http");
    if (!listener.ok()) return listener.status();
    if (absl::Status added = server.add_listener(*listener, Door::AuthHttp); !added.ok()) return added;
  }
  if (wish.helper.empty()) return absl::OkStatus();
  auto listener = wire::listen_unix(wish.helper);
  if (!listener.ok()) return listener.status();
  std::printf("helper %s\n", wish.helper.c_str());
  return server.add_listener(*listener, Door::Helper);
}

absl::Status serve(Wish wish) {
  if (wish.core >= 0) {
    if (absl::Status pinned = wire::pin_to_core(wish.core); !pinned.ok()) return pinned;
  }
  if (!wish.chain.empty()) {
    auto context = wire::back_context(wish.chain, wish.key);
    if (!context.ok()) return context.status();
    wish.server.tls = *std::move(context);
  }
  wire::raise_descriptor_limit();
  Server server(std::move(wish.server));
  if (absl::Status added = add_listeners(server, wish); !added.ok()) return added;
  std::printf("ready\n");
  std::fflush(stdout);
  return server.run();
}

}  // namespace
}  // namespace postern::mailstub

int main(int count, char** words) {
  postern::mailstub::Wish wish;
  if (!postern::mailstub::read_options(count, words, wish)) return 2;
  const absl::Status status = postern::mailstub::serve(std::move(wish));
  if (status.ok()) return 0;
  std::fprintf(stderr, "postern-mailstub: %s\n", std::string(status.message()).c_str());
  return 1;
}
