// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/auth_http.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/endpoint.h"
#include "base/secret_buffer.h"
#include "helper/names.h"

namespace postern::helper {
namespace {

// Nobody waits longer for his error; the gate has its own bound below that.
constexpr uint32_t wait_s_max = 3600;

std::string_view method_of(std::string_view mechanism) {
  if (mechanism == "XOAUTH2") return "xoauth2";
  if (mechanism == "OAUTHBEARER") return "oauthbearer";
  return "plain";
}

std::string_view protocol_of(std::string_view protocol) {
  return protocol == "submission" ? "smtp" : protocol;
}

std::optional<uint32_t> number_in(std::string_view text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// nginx looks at no blanks but these.
std::string_view trimmed(std::string_view value) {
  while (value.starts_with(' '))
    value.remove_prefix(1);
  while (value.ends_with(' '))
    value.remove_suffix(1);
  return value;
}

// Text beats WAIT beats OK, whatever the order: what could keep somebody out counts.
void take_status(AuthHttpAnswer& answer, std::string_view value) {
  using Status = AuthHttpAnswer::Status;
  const Status said = value == "OK" ? Status::Ok : value == "WAIT" ? Status::Wait : Status::Failure;
  if (said > answer.status) answer.status = said;
  if (said == Status::Failure) answer.text = std::string(value);
}

struct TextHeader {
  std::string_view name;
  std::string AuthHttpAnswer::*place;
};
constexpr TextHeader text_headers[] = {
    {"auth-server", &AuthHttpAnswer::server},
    {"auth-port", &AuthHttpAnswer::port},
    {"auth-user", &AuthHttpAnswer::user},
    {"auth-error-code", &AuthHttpAnswer::error_code},
    {"auth-server-name", &AuthHttpAnswer::tls_name},
    {"auth-tls", &AuthHttpAnswer::tls},
    {"auth-mech", &AuthHttpAnswer::mechanism},
    {"auth-master-user", &AuthHttpAnswer::master_user},
    {"auth-cache-ttl", &AuthHttpAnswer::ttl},
    {"auth-proxy-protocol", &AuthHttpAnswer::proxy_protocol},
};

void take_header(AuthHttpAnswer& answer, const std::string& name, std::string_view value) {
  if (name == "auth-status") return take_status(answer, value);
  if (name == "auth-pass") {
    answer.password = Secret(value);
    return;
  }
  if (name == "auth-wait") {
    // What is no number counts as not said, as with nginx.
    if (const std::optional<uint32_t> seconds = number_in(value)) answer.wait_s = std::min(*seconds, wait_s_max);
    return;
  }
  for (const TextHeader& header : text_headers) {
    if (header.name == name) answer.*header.place = std::string(value);
  }
}

// A daemon can tell its own trouble from a wrong password in two ways that mail programs understand already: a response
// code at the beginning of the text, and an SMTP code of the temporary kind.
bool is_temporary(const AuthHttpAnswer& answer, std::string_view code) {
  return code == "UNAVAILABLE" || code == "SYS/TEMP" || code == "SERVERBUG" || answer.error_code.starts_with('4');
}

absl::Status wrong(std::string_view header, const std::string& what) {
  return absl::InvalidArgumentError("the daemon's " + std::string(header) + " " + what);
}

absl::Status set_back(const AuthHttpAnswer& answer, bool has_default_back, Route& route) {
  if (answer.server.empty() && answer.port.empty() && has_default_back) return absl::OkStatus();
  if (answer.server.empty() || answer.port.empty()) {
    return absl::InvalidArgumentError(
        "the daemon said OK without Auth-Server and Auth-Port. Let it say both, or give this source a back or a pool");
  }
  std::optional<Endpoint> server = Endpoint::parse(answer.server, 1);
  const std::optional<uint32_t> port = number_in(answer.port);
  // A port or brackets in it would be another address than nginx reads there.
  const bool is_bare = server && answer.server.find_first_of("[]") == std::string::npos &&
                       (server->v6 || answer.server.find(':') == std::string::npos);
  if (!is_bare) return wrong("Auth-Server", "is no bare IPv4 or IPv6 address; names are not looked up");
  if (!port || *port == 0 || *port > 65535) return wrong("Auth-Port", "is no number from 1 to 65535");
  server->port = static_cast<uint16_t>(*port);
  route.backs = {server->text()};
  return absl::OkStatus();
}

}  // namespace

Secret escaped_for_auth_http(std::string_view bytes) {
  static constexpr char digits[] = "0123456789ABCDEF";
  SecretBuffer text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte != '%') {
      text.append(c);
    } else {
      const char triple[] = {'%', digits[byte >> 4], digits[byte & 15]};
      text.append({triple, sizeof triple});
    }
  }
  return text.take();
}

void say_auth_http(const Asked& asked, std::string_view user,
                   const std::function<void(std::string_view name, std::string_view value)>& header) {
  const postern_question& question = asked.question;
  const bool has_token = question.token.data != nullptr;
  header("Auth-Method", method_of(view(question.mechanism)));
  header("Auth-User", escaped_for_auth_http(user).reveal());
  header("Auth-Pass", escaped_for_auth_http(view(has_token ? question.token : question.password)).reveal());
  header("Auth-Protocol", escaped_for_auth_http(protocol_of(view(question.protocol))).reveal());
  // The gate counts the attempts of a connection, and does not tell.
  header("Auth-Login-Attempt", "1");
  header("Client-IP", value_of(Variable::Client, asked));
  // Whose address has no name for it, where nginx looks none up either.
  if (view(question.protocol) == "submission") header("Client-Host", "[UNAVAILABLE]");
  if (question.tls.size == 0) return;
  header("Auth-SSL", "on");
  header("Auth-SSL-Protocol", escaped_for_auth_http(view(question.tls)).reveal());
}

AuthHttpAnswer parse_auth_http(std::string_view head) {
  AuthHttpAnswer answer;
  while (!head.empty()) {
    std::string_view line = head.substr(0, head.find('\n'));
    head.remove_prefix(std::min(head.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (colon != line.npos) take_header(answer, folded(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
  }
  return answer;
}

absl::StatusOr<Route> route_of_auth_http(const AuthHttpAnswer& answer, bool has_default_back) {
  Route route;
  if (const absl::Status status = set_back(answer, has_default_back, route); !status.ok()) return status;
  if (!answer.master_user.empty() && answer.password.empty()) {
    return wrong("Auth-Master-User", "came without its password in Auth-Pass");
  }
  const std::string_view password = answer.password.reveal();
  const bool is_master = !answer.master_user.empty();
  const struct {
    std::string_view header, attribute, value;
  } said[] = {
      {"Auth-User", "back_user", answer.user},
      {"Auth-Master-User", "master_user", answer.master_user},
      {"Auth-Pass", is_master ? "master_password" : "back_password", password},
      {"Auth-Server-Name", "tls_name", answer.tls_name},
      {"Auth-TLS", "tls", answer.tls},
      {"Auth-Mech", "mechanism", answer.mechanism},
      {"Auth-Proxy-Protocol", "proxy_protocol", answer.proxy_protocol},
      // A route knows no "not at all"; a second is the least.
      {"Auth-Cache-TTL", "ttl", answer.ttl == "0" ? std::string_view("1") : std::string_view(answer.ttl)},
  };
  for (const auto& [header, attribute, value] : said) {
    if (value.empty()) continue;
    const absl::Status status = set_attribute(route, attribute, value);
    if (!status.ok()) return wrong(header, std::string(status.message()));
  }
  return route;
}

Lookup refusal_of_auth_http(const AuthHttpAnswer& answer) {
  Refused refused;
  refused.text = answer.text;
  if (refused.text.starts_with('[')) {
    if (const size_t end = refused.text.find(']'); end != std::string::npos) {
      refused.code = refused.text.substr(1, end - 1);
      refused.text = std::string(trimmed(std::string_view(refused.text).substr(end + 1)));
    }
  }
  if (is_temporary(answer, refused.code)) return SourceFailure{"the daemon says that it cannot say: " + answer.text};
  refused.why = "the daemon says: " + answer.text;
  refused.delay = std::chrono::seconds(answer.wait_s.value_or(0));
  return refused;
}

}  // namespace postern::helper
