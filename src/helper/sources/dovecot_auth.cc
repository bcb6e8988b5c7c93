// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/dovecot_auth.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/endpoint.h"
#include "base/secret_buffer.h"
#include "helper/sources/dovecot_fields.h"

namespace postern::helper {
namespace {

constexpr std::pair<char, char> escapes[] = {{'\0', '0'}, {'\001', '1'}, {'\t', 't'}, {'\r', 'r'}, {'\n', 'n'}};

std::string_view next_field(std::string_view& line) {
  const std::string_view field = line.substr(0, line.find('\t'));
  line.remove_prefix(std::min(line.size(), field.size() + 1));
  return field;
}

// The initial response of the mechanism (RFC 4616; RFC 7628, section 3.1; Google's XOAUTH2), in base64.
Secret response(std::string_view mechanism, const Asked& asked) {
  SecretBuffer text;
  if (mechanism == "PLAIN") {
    text.append('\0');
    text.append(asked.user);
    text.append('\0');
    text.append(view(asked.question.password));
  } else {
    if (mechanism == "OAUTHBEARER") {
      text.append("n,a=");
      for (const char c : asked.user)
        text.append(c == ',' ? "=2C" : c == '=' ? "=3D" : std::string_view(&c, 1));
      text.append(",\001");
    } else {
      text.append("user=");
      text.append(asked.user);
      text.append('\001');
    }
    text.append("auth=Bearer ");
    text.append(view(asked.question.token));
    text.append("\001\001");
  }
  const std::string_view bytes = text.reveal();
  std::string encoded = absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()));
  return Secret::take(encoded);
}

void add_endpoint(SecretBuffer& line, std::string_view address_key, std::string_view port_key, postern_bytes endpoint) {
  const std::optional<Endpoint> parsed = Endpoint::parse(view(endpoint), 1);
  if (!parsed) return;
  line.append("\t" + std::string(address_key) + "=" + parsed->address_text());
  line.append("\t" + std::string(port_key) + "=" + std::to_string(parsed->port));
}

void add_text(SecretBuffer& line, std::string_view key, std::string_view value) {
  if (value.empty()) return;
  line.append('\t');
  line.append(key);
  line.append('=');
  line.append(dovecot_escaped(value).reveal());
}

// What came before "=" in one of the fields, and what behind it.
std::pair<std::string_view, std::string_view> split(const Secret& field) {
  const std::string_view text = field.reveal();
  const size_t equals = text.find('=');
  return {text.substr(0, equals), equals == text.npos ? std::string_view() : text.substr(equals + 1)};
}

Lookup refusal(const DovecotAnswer& answer) {
  Refused refused;
  std::string_view code;
  for (const Secret& field : answer.fields) {
    const auto [key, value] = split(field);
    if (key == "reason") refused.text = std::string(value);
    if (key == "code") code = value;
    // Before 2.3 the codes were fields of their own.
    if (key == "temp") code = "temp_fail";
    if (key == "authz") code = "authz_fail";
    if (key == "user_disabled" || key == "pass_expired") code = key;
  }
  if (code == "temp_fail") return SourceFailure{"Dovecot says that it cannot say: " + refused.text};
  if (code == "authz_fail") refused.reason = POSTERN_REASON_NOT_ALLOWED;
  if (code == "user_disabled" || code == "login_disabled" || code == "pass_expired") {
    refused.reason = POSTERN_REASON_DISABLED;
  }
  if (code == "pass_expired") refused.code = "EXPIRED";
  refused.why = code.empty() ? "Dovecot says no" : "Dovecot says " + std::string(code);
  return refused;
}

}  // namespace

Secret dovecot_escaped(std::string_view bytes) {
  SecretBuffer text;
  for (const char c : bytes) {
    const auto* escape =
        std::find_if(std::begin(escapes), std::end(escapes), [&](const auto& known) { return known.first == c; });
    if (escape != std::end(escapes)) text.append('\001');
    text.append(escape != std::end(escapes) ? escape->second : c);
  }
  return text.take();
}

Secret dovecot_unescaped(std::string_view bytes) {
  SecretBuffer text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != '\001' || i + 1 == bytes.size()) {
      text.append(bytes[i]);
      continue;
    }
    const char letter = bytes[++i];
    const auto* escape =
        std::find_if(std::begin(escapes), std::end(escapes), [&](const auto& known) { return known.second == letter; });
    text.append(escape != std::end(escapes) ? escape->first : letter);
  }
  return text.take();
}

Secret dovecot_question(uint32_t id, std::string_view mechanism, const Asked& asked, std::string_view service) {
  const postern_question& question = asked.question;
  SecretBuffer line;
  line.append("AUTH\t" + std::to_string(id) + "\t" + std::string(mechanism));
  add_text(line, "service", service.empty() ? view(question.protocol) : service);
  if (question.tls.size != 0) line.append("\tsecured=tls");
  // Nobody will fetch the login from the master socket, so Dovecot shall not keep it.
  line.append("\tnologin");
  add_text(line, "session", view(question.session));
  add_endpoint(line, "lip", "lport", question.local);
  add_endpoint(line, "rip", "rport", question.client);
  add_text(line, "local_name", view(question.sni));
  line.append("\tresp=");
  line.append(response(mechanism, asked).reveal());
  line.append('\n');
  return line.take();
}

std::optional<DovecotAnswer> parse_dovecot_answer(std::string_view line) {
  static constexpr std::pair<std::string_view, DovecotAnswer::Kind> words[] = {
      {"OK", DovecotAnswer::Kind::Ok}, {"FAIL", DovecotAnswer::Kind::Fail}, {"CONT", DovecotAnswer::Kind::Continue}};
  const std::string_view word = next_field(line);
  const auto* known =
      std::find_if(std::begin(words), std::end(words), [&](const auto& one) { return one.first == word; });
  if (known == std::end(words)) return std::nullopt;
  DovecotAnswer answer;
  answer.kind = known->second;
  const std::string_view id = next_field(line);
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), answer.id);
  if (error != std::errc() || end != id.data() + id.size()) return std::nullopt;
  while (!line.empty())
    answer.fields.push_back(dovecot_unescaped(next_field(line)));
  return answer;
}

Lookup lookup_of_dovecot(const DovecotAnswer& answer, const Asked& asked) {
  if (answer.kind != DovecotAnswer::Kind::Ok) return refusal(answer);
  Entry entry;
  DovecotFields dovecot;
  for (const Secret& field : answer.fields) {
    const auto [key, value] = split(field);
    if (key == "reason") static_cast<void>(set_attribute(entry.route, "text", value));
    // The mail program's own password comes back in an answer of a proxy; the gate has it.
    if (key == "pass" && value == view(asked.question.password)) continue;
    if (key == "user" && value == asked.user) continue;
    const absl::Status status = dovecot.take(key, value, entry);
    if (!status.ok() && !absl::IsNotFound(status))
      return SourceFailure{"Dovecot's answer: " + std::string(status.message())};
  }
  absl::Status status = dovecot.finish(entry.route);
  if (status.ok()) status = check_route(entry.route);
  if (!status.ok()) return SourceFailure{"Dovecot's answer: " + std::string(status.message())};
  return Admitted{std::move(entry)};
}

}  // namespace postern::helper
