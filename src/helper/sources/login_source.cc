// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/login_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "base/endpoint.h"
#include "config/words.h"
#include "helper/this_machine.h"

namespace postern::helper {
namespace {

using Protocol = LoginOptions::Protocol;
using Tls = LoginOptions::Tls;

constexpr std::string_view protocols[] = {"imap", "pop3", "smtp"};          // in the order of Protocol
constexpr std::string_view tls_words[] = {"none", "starttls", "implicit"};  // in the order of Tls

// More than any server says in a line; what is longer is not looked at.
constexpr size_t reply_size_max = 1024;

// The server's last line, from libcurl's trace. What is sent, the password with it, passes by.
int take_trace(CURL*, curl_infotype type, char* data, size_t size, void* to) {
  if (type == CURLINFO_HEADER_IN) static_cast<std::string*>(to)->assign(data, std::min(size, reply_size_max));
  return 0;
}

// The response code in brackets (RFC 3501, section 7.1; RFC 2449, section 8); empty: none.
std::string_view code_in(std::string_view text) {
  if (!text.starts_with('[')) return "";
  return text.substr(1, text.find_first_of("] ") - 1);
}

std::string_view behind_word(std::string_view text) {
  const size_t blank = text.find(' ');
  return blank == text.npos ? std::string_view() : text.substr(blank + 1);
}

LoginRefusal by_code(std::string_view code) {
  for (const std::string_view known : {"", "AUTHENTICATIONFAILED", "AUTH"}) {
    if (code == known) return LoginRefusal::Mismatch;
  }
  for (const std::string_view known : {"AUTHORIZATIONFAILED", "EXPIRED"}) {
    if (code == known) return LoginRefusal::NotAllowed;
  }
  return LoginRefusal::Failure;
}

std::string host_of(const LoginOptions& options) {
  return options.server.substr(0, options.server.rfind(':'));
}

std::string bare(std::string host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

std::string url_of(const LoginOptions& options) {
  const std::string scheme(protocols[static_cast<size_t>(options.protocol)]);
  const std::string host = options.tls_name.empty() ? host_of(options) : options.tls_name;
  const std::string port = options.server.substr(options.server.rfind(':'));
  return scheme + (options.tls == Tls::Implicit ? "s" : "") + "://" + host + port + "/";
}

bool is_server(const std::string& server) {
  const size_t colon = server.rfind(':');
  if (Endpoint::parse(server)) return true;
  const auto in_a_name = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-';
  };
  return colon != server.npos && colon > 0 &&
         std::all_of(server.begin(), server.begin() + static_cast<ptrdiff_t>(colon), in_a_name) &&
         Endpoint::parse("127.0.0.1" + server.substr(colon)).has_value();
}

}  // namespace

LoginOptions read_login(TableReader& reader, SourceRules& rules) {
  LoginOptions options;
  if (reader.take("server") == nullptr) reader.missing("server", "server = \"127.0.0.1:143\"");
  reader.text("server", options.server);
  if (!options.server.empty() && !is_server(options.server)) {
    reader.wrong_kind(*reader.take("server"), "server", "an address or name with a port, such as \"127.0.0.1:143\"");
  }
  size_t protocol = 0, tls = 0;
  reader.choice("protocol", protocols, protocol);
  options.protocol = static_cast<Protocol>(protocol);
  // Not `tls` and `tls_name`: these are the route's, to where the mail lives.
  reader.choice("server_tls", tls_words, tls);
  options.tls = static_cast<Tls>(tls);
  reader.text("server_tls_name", options.tls_name);
  reader.path("tls_ca", options.tls_ca);
  if (rules.only_route) reader.wrong(*reader.take("role"), "role", "is \"route\"; a login says nothing about a route");
  return options;
}

LoginRefusal meaning_of(Protocol protocol, std::string_view reply) {
  while (reply.ends_with('\n') || reply.ends_with('\r'))
    reply.remove_suffix(1);
  switch (protocol) {
    case Protocol::Imap: {
      const std::string_view said = behind_word(reply);
      return said == "NO" || said.starts_with("NO ") ? by_code(code_in(behind_word(said))) : LoginRefusal::Failure;
    }
    case Protocol::Pop3:
      return reply == "-ERR" || reply.starts_with("-ERR ") ? by_code(code_in(behind_word(reply)))
                                                           : LoginRefusal::Failure;
    case Protocol::Smtp: return reply.starts_with("535") ? LoginRefusal::Mismatch : LoginRefusal::Failure;
  }
  return LoginRefusal::Failure;
}

LoginSource::LoginSource(LoginOptions options)
    : options_(std::move(options)),
      name_("login:" + std::string(protocols[static_cast<size_t>(options_.protocol)]) + "://" + options_.server),
      url_(url_of(options_)),
      host_(bare(host_of(options_))),
      connect_to_("::" + options_.server) {}

void LoginSource::prepare(CURL* curl, const curl_slist* connect_to) const {
  const Duration timeout = rules().turnstile.timeout;
  set_rules_of_house(curl, timeout);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "imap,imaps,pop3,pop3s,smtp,smtps");
  curl_easy_setopt(curl, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(curl, CURLOPT_CONNECT_TO, connect_to);
  if (options_.tls == Tls::StartTls) curl_easy_setopt(curl, CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_ALL));
  if (!options_.tls_ca.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, options_.tls_ca.c_str());
  // Not by CRAM-MD5 or NTLM, for which servers need more than a hash, nor by this machine's tickets.
  curl_easy_setopt(curl, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN");
  // Greeting, TLS and login, and no more.
  curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
  // The goodbye waits for an answer too.
  curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, std::max<long>(1, timeout.count() / 1000));
}

Lookup LoginSource::find(const Asked& asked) {
  const std::string_view password = view(asked.question.password);
  // libcurl takes C strings: what stands behind a NUL would not count.
  if (password.find('\0') != std::string_view::npos) return refuse(POSTERN_REASON_CREDENTIALS, "a NUL in the password");
  SecretBuffer terminated;
  terminated.append(password);
  terminated.append('\0');
  CurlHeaders connect_to;
  connect_to.add_line(connect_to_);
  CurlPool fresh;
  CurlHandle curl = fresh.take();
  if (curl == nullptr) return SourceFailure{"no memory for a login"};
  prepare(curl.get(), connect_to.list());
  curl_easy_setopt(curl.get(), CURLOPT_USERNAME, asked.user.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PASSWORD, terminated.reveal().data());
  std::string reply;
  curl_easy_setopt(curl.get(), CURLOPT_VERBOSE, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_DEBUGFUNCTION, take_trace);
  curl_easy_setopt(curl.get(), CURLOPT_DEBUGDATA, &reply);
  const Transfer done = transfer(curl.get());
  // The goodbye has its answer too.
  curl_easy_setopt(curl.get(), CURLOPT_VERBOSE, 0L);
  if (done.code == CURLE_OK) return Admitted{};
  if (done.code != CURLE_LOGIN_DENIED) return SourceFailure{done.why};
  switch (meaning_of(options_.protocol, reply)) {
    case LoginRefusal::Mismatch: return refuse(POSTERN_REASON_CREDENTIALS, "the mail server says no");
    case LoginRefusal::NotAllowed: return refuse(POSTERN_REASON_NOT_ALLOWED, "the mail server says that he may not");
    case LoginRefusal::Failure: break;
  }
  return SourceFailure{"the mail server takes no logins now, or none by PLAIN or LOGIN: " + config::printable(reply)};
}

absl::Status LoginSource::check() {
  const postern_question question = question_of_nobody();
  const Lookup lookup = find(Asked(question, view(question.user)));
  if (std::holds_alternative<Admitted>(lookup)) {
    return absl::FailedPreconditionError("the server lets a user in whom nobody has made, so it verifies nothing.");
  }
  return status_of(lookup);
}

std::vector<std::string> LoginSource::advice() const {
  if (options_.tls != Tls::None || is_this_machine(host_)) return {};
  return {"the passwords go to " + host_ + " in clear. Set server_tls to \"implicit\" or \"starttls\"."};
}

}  // namespace postern::helper
