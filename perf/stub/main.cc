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
    R"(Usage: postern-mailstub --listen ADDRESS:PORT [option ...]

A simulated IMAP server for load tests: it lets everybody in and has one mail. One thread; tens of thousands of
connections. Port 0 takes a free port. Each listener is told on standard output as "KIND ADDRESS:PORT" or "helper PATH",
then "ready". Ends at SIGTERM or SIGINT.

  --listen ADDRESS:PORT     IMAP; may be given several times
  --auth-http ADDRESS:PORT  answer nginx's auth_http questions with the IMAP addresses, in turn
  --helper PATH             answer the gate's questions (postern-helper protocol) on this Unix socket, likewise
  --helper-fields PAIRS     append these form-urlencoded pairs to each answer to the gate, such as ttl=300
  --mail BYTES              size of the mail (16777216); FETCH 1 BODY[]<0.N> gets the first N bytes
  --chain FILE --key FILE   speak TLS from the first byte on the IMAP listeners (PEM)
  --cpu N                   stay on this core
  --help
)";

struct Wish {
  std::vector<std::string> listen;
  std::string auth_http;
  std::string helper;
  std::string chain;
  std::string key;
  int core = -1;
  Server::Options server;
};

bool read_number(const char* text, uint64_t& number) {
  const char* end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, number);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

// False: the command line was wrong, and it was said why.
bool read_options(int count, char** words, Wish& wish) {
  enum Key : int { Listen = 1, AuthHttp, Helper, HelperFields, Mail, Chain, PrivateKey, Cpu, Help };
  static constexpr option known[] = {{"listen", required_argument, nullptr, Listen},
                                     {"auth-http", required_argument, nullptr, AuthHttp},
                                     {"helper", required_argument, nullptr, Helper},
                                     {"helper-fields", required_argument, nullptr, HelperFields},
                                     {"mail", required_argument, nullptr, Mail},
                                     {"chain", required_argument, nullptr, Chain},
                                     {"key", required_argument, nullptr, PrivateKey},
                                     {"cpu", required_argument, nullptr, Cpu},
                                     {"help", no_argument, nullptr, Help},
                                     {nullptr, 0, nullptr, 0}};
  uint64_t number = 0;
  for (int key = 0; (key = ::getopt_long(count, words, "", known, nullptr)) != -1;) {
    switch (key) {
      case Listen: wish.listen.emplace_back(optarg); break;
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
  if (wish.listen.empty()) return std::fprintf(stderr, "--listen is missing; see --help\n"), false;
  if (wish.chain.empty() != wish.key.empty()) return std::fprintf(stderr, "--chain and --key go together\n"), false;
  return true;
}

absl::Status add_tcp(Server& server, const std::string& where, Talk talk, const char* word) {
  auto endpoint = wire::parse_endpoint(where, true);
  if (!endpoint.ok()) return endpoint.status();
  auto listener = wire::listen_tcp(*endpoint);
  if (!listener.ok()) return listener.status();
  std::printf("%s %s\n", word, wire::bound_endpoint(*listener).text().c_str());
  return server.add_listener(*listener, talk);
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
  for (const std::string& where : wish.listen) {
    if (absl::Status added = add_tcp(server, where, Talk::Imap, "imap"); !added.ok()) return added;
  }
  if (!wish.auth_http.empty()) {
    if (absl::Status added = add_tcp(server, wish.auth_http, Talk::AuthHttp, "auth-http"); !added.ok()) return added;
  }
  if (!wish.helper.empty()) {
    auto listener = wire::listen_unix(wish.helper);
    if (!listener.ok()) return listener.status();
    std::printf("helper %s\n", wish.helper.c_str());
    if (absl::Status added = server.add_listener(*listener, Talk::Helper); !added.ok()) return added;
  }
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
