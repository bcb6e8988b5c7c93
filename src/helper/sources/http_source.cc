// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/http_source.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/secret_buffer.h"
#include "config/words.h"
#include "helper/names.h"
#include "helper/sources/auth_http.h"

namespace postern::helper {
namespace {

using std::chrono::steady_clock;

// nginx stops at 1024 bytes. Proxies in front of a daemon add lines of their own, so there is room for these.
constexpr size_t head_size_max = 16 * 1024;
// A daemon that says WAIT without a time is asked again at once by nginx; so much is the least that spares both.
constexpr Duration wait_min = std::chrono::milliseconds(100);

// The lines of an answer up to the empty one; what comes behind is not read.
struct Head {
  SecretBuffer lines;
  bool is_whole = false;
  bool is_too_long = false;
};

// Whether there is more to come: stopping the transfer is all that is left to do at the end of the head.
size_t take_line(char* data, size_t, size_t size, void* to) {
  auto& head = *static_cast<Head*>(to);
  const std::string_view line(data, size);
  head.is_too_long = head.lines.size() + size > head_size_max;
  if (head.is_too_long) return 0;
  head.lines.append(line);
  head.is_whole = line == "\r\n" || line == "\n";
  return head.is_whole ? 0 : size;
}

// An answer without a status line is a body to libcurl, and comes in pieces.
size_t take_piece(char* data, size_t, size_t size, void* to) {
  auto& head = *static_cast<Head*>(to);
  head.is_too_long = head.lines.size() + size > head_size_max;
  if (head.is_too_long) return 0;
  head.lines.append({data, size});
  const std::string_view all = head.lines.reveal();
  head.is_whole = all.find("\r\n\r\n") != all.npos || all.find("\n\n") != all.npos;
  return head.is_whole ? 0 : size;
}

// What the daemon should hear: as the mail program spelled it, unless the rules for names made another one of it.
std::string_view told_name(const Asked& asked) {
  const std::string_view sent = view(asked.question.user);
  return folded(sent) == asked.user ? sent : std::string_view(asked.user);
}

void read_headers(TableReader& reader, std::vector<Secret>& headers) {
  std::vector<std::string> lines;
  reader.texts("headers", lines);
  for (std::string& line : lines) {
    const size_t colon = line.find(':');
    const bool is_header = colon != line.npos && colon > 0 &&
                           line.find_first_of(std::string_view("\r\n\0", 3)) == line.npos &&
                           line.substr(0, colon).find_first_of(" \t;") == std::string::npos;
    if (is_header) {
      headers.push_back(Secret::take(line));
    } else {
      reader.wrong(*reader.take("headers"), "headers", "has one that is no \"Name: value\"");
      wipe(line);
    }
  }
}

}  // namespace

HttpOptions read_http(TableReader& reader, SourceRules& rules) {
  HttpOptions options;
  reader.path("unix_socket", options.place.unix_socket, socket_path_max);
  if (reader.take("url") == nullptr && options.place.unix_socket.empty()) {
    reader.missing("url", "url = \"http://127.0.0.1:8080/auth\"");
  }
  read_url(reader, "url", options.place.url);
  reader.path("tls_ca", options.place.tls_ca);
  read_headers(reader, options.headers);
  reader.truth("tokens", options.tokens);
  options.checks_password = !rules.check_at_back;
  if (rules.only_route)
    reader.wrong(*reader.take("role"), "role", "is \"route\"; a daemon is only asked with a password");
  // nginx asks for no other, so a daemon may take one for anything.
  if (rules.protocols.empty()) rules.protocols = {"imap", "pop3", "submission"};
  return options;
}

HttpSource::HttpSource(HttpOptions options)
    : options_(std::move(options)),
      name_("http:" + (options_.place.unix_socket.empty() ? options_.place.url : options_.place.unix_socket)),
      host_(options_.place.unix_socket.empty() ? url_host(options_.place.url) : "localhost") {}

absl::StatusOr<Secret> HttpSource::ask_once(const CurlHeaders& headers, Duration time_left) {
  CurlHandle curl = pool_.take();
  if (curl == nullptr) return absl::ResourceExhaustedError("no memory for a question");
  Head head;
  set_rules_of_house(curl.get(), time_left);
  set_web_place(curl.get(), options_.place);
  curl_easy_setopt(curl.get(), CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_0));
  curl_easy_setopt(curl.get(), CURLOPT_HTTP09_ALLOWED, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.list());
  curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, take_line);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &head);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take_piece);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &head);
  const Transfer done = transfer(curl.get());
  pool_.give_back(std::move(curl));
  // A daemon without a status line may just hang up at the end.
  if (head.is_whole || (done.code == CURLE_OK && !head.lines.empty())) return head.lines.take();
  if (head.is_too_long) {
    return absl::DataLossError("the daemon's answer has more than " + std::to_string(head_size_max) +
                               " bytes before its empty line");
  }
  return absl::UnavailableError(done.code == CURLE_OK ? "the daemon said nothing" : done.why);
}

Lookup HttpSource::find(const Asked& asked) {
  const steady_clock::time_point deadline = steady_clock::now() + rules().turnstile.timeout;
  const std::string_view user = told_name(asked);
  CurlHeaders headers;
  headers.add("Host", host_);
  // libcurl's own, which nginx does not send.
  headers.add_line("Accept:");
  say_auth_http(asked, user, [&](std::string_view name, std::string_view value) { headers.add(name, value); });
  for (const Secret& header : options_.headers)
    headers.add_line(header.reveal());
  while (true) {
    const auto left = std::chrono::duration_cast<Duration>(deadline - steady_clock::now());
    if (left <= Duration(0)) return SourceFailure{"the daemon said WAIT until the time was over"};
    absl::StatusOr<Secret> head = ask_once(headers, left);
    if (!head.ok()) return SourceFailure{std::string(head.status().message())};
    const AuthHttpAnswer answer = parse_auth_http(head->reveal());
    switch (answer.status) {
      case AuthHttpAnswer::Status::Ok: return admit(asked, user, answer);
      case AuthHttpAnswer::Status::Failure: return refusal_of_auth_http(answer);
      case AuthHttpAnswer::Status::Unsaid:
        return SourceFailure{"the answer has no Auth-Status. Is this URL the daemon's?"};
      case AuthHttpAnswer::Status::Wait: break;
    }
    const Duration wait = std::max<Duration>(wait_min, std::chrono::seconds(answer.wait_s.value_or(0)));
    if (steady_clock::now() + wait >= deadline) {
      return SourceFailure{"the daemon wants to be asked again later than this source's timeout allows"};
    }
    std::this_thread::sleep_for(wait);
  }
}

Lookup HttpSource::admit(const Asked& asked, std::string_view told_user, const AuthHttpAnswer& answer) const {
  const Route& defaults = rules().defaults;
  const bool has_default_back = !defaults.backs.empty() || !defaults.hashed_backs.empty() || !defaults.pool.empty();
  absl::StatusOr<Route> route = route_of_auth_http(answer, has_default_back);
  if (!route.ok()) return SourceFailure{std::string(route.status().message())};
  Entry entry;
  entry.route = *std::move(route);
  // Where the daemon tells upper case from lower, so does the mail server.
  if (entry.route.user.empty() && defaults.user.empty() && told_user != asked.user) {
    entry.route.user = std::string(told_user);
  }
  entry.check_at_back = !options_.checks_password;
  return Admitted{std::move(entry)};
}

absl::Status HttpSource::check() {
  const postern_question question = question_of_nobody();
  return status_of(find(Asked(question, view(question.user))));
}

std::vector<std::string> HttpSource::advice() const {
  if (!goes_in_clear(options_.place)) return {};
  return {"the passwords go to " + url_host(options_.place.url) +
          " in clear. Use https, a Unix socket or a daemon on this machine."};
}

}  // namespace postern::helper
