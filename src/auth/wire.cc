// SPDX-License-Identifier: GPL-3.0-or-later
#include "auth/wire.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/escaping.h"

namespace postern::auth {
namespace {

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string ascii_upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

// A sentence for people: one line whatever the helper put into it, and not cut within a UTF-8 character.
std::string clean_text(std::string_view text) {
  size_t size = std::min(text.size(), text_size_max);
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80)
    --size;
  std::string clean(text.substr(0, size));
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return clean;
}

// A response code ends up between brackets in the dialect's line: one that could close them is none.
std::string clean_code(std::string_view code) {
  if (code.size() > code_size_max) return {};
  for (const char c : code) {
    if (c < ' ' || c >= 0x7f || c == '[' || c == ']' || c == '"' || c == '\\') return {};
  }
  return std::string(code);
}

// What an answer's line said, by key. Views into the form.
struct Fields {
  using Value = std::optional<std::string_view>;
  Value result, user, password, master_user, master_password, pool, tls, tls_name, mechanism;
  Value ttl, cache, reason, delay_ms, code, text;
  Value proxy_protocol, xclient, sessions_max, moving_to, moving_to_tls_name;
  Value iterations, salt, stored_key, server_key;
  std::vector<std::string_view> backs, varies;
};

struct Key {
  std::string_view word;
  Fields::Value Fields::*value;
  bool empty_is_unsaid;  // else an empty value is as wrong as any other that does not fit
};

constexpr Key known_keys[] = {
    {"result", &Fields::result, false},
    {"user", &Fields::user, true},
    {"password", &Fields::password, false},  // must not quietly become "the mail program's own"
    {"master_user", &Fields::master_user, true},
    {"master_password", &Fields::master_password, false},
    {"pool", &Fields::pool, true},
    {"tls", &Fields::tls, true},
    {"tls_name", &Fields::tls_name, true},
    {"mechanism", &Fields::mechanism, true},
    {"ttl", &Fields::ttl, false},
    {"cache", &Fields::cache, true},
    {"reason", &Fields::reason, true},
    {"delay_ms", &Fields::delay_ms, false},
    {"code", &Fields::code, true},
    {"text", &Fields::text, true},
    {"proxy_protocol", &Fields::proxy_protocol, true},
    {"xclient", &Fields::xclient, true},
    {"sessions_max", &Fields::sessions_max, true},
    {"moving_to", &Fields::moving_to, true},
    {"moving_to_tls_name", &Fields::moving_to_tls_name, true},
    {"iterations", &Fields::iterations, true},
    {"salt", &Fields::salt, true},
    {"stored_key", &Fields::stored_key, true},
    {"server_key", &Fields::server_key, true},
};

// What is wrong, as half a sentence; nullptr: nothing.
using Fault = const char*;

[[nodiscard]] Fault collect(const Form& form, Fields& fields) {
  for (size_t i = 0; i < form.size(); ++i) {
    if (form.key(i) == "back") fields.backs.push_back(form.value(i));
    if (form.key(i) == "vary") fields.varies.push_back(form.value(i));
    const Key* key = std::find_if(std::begin(known_keys), std::end(known_keys),
                                  [&](const Key& known) { return known.word == form.key(i); });
    if (key == std::end(known_keys) || (form.value(i).empty() && key->empty_is_unsaid)) continue;
    if (fields.*(key->value)) return "a key comes twice";
    fields.*(key->value) = form.value(i);
  }
  return nullptr;
}

[[nodiscard]] Fault read_keeping(const Fields& fields, Keeping& keeping) {
  if (fields.ttl) {
    const std::optional<uint64_t> seconds = parse_number(*fields.ttl);
    if (!seconds) return "ttl is no number of seconds";
    keeping.ttl = std::chrono::seconds(std::min<uint64_t>(*seconds, ttl_max / std::chrono::seconds(1)));
    if (*seconds == 0) keeping.store = false;
  }
  // Whatever else a later version may say of keeping, not to keep is never wrong.
  if (fields.cache && *fields.cache != "yes") keeping.store = false;
  for (std::string_view list : fields.varies) {
    while (!list.empty()) {
      const std::string_view word = list.substr(0, list.find(','));
      list.remove_prefix(std::min(list.size(), word.size() + 1));
      if (word == "client") {
        keeping.vary_client = true;
      } else if (!word.empty()) {
        keeping.store = false;
      }
    }
  }
  return nullptr;
}

[[nodiscard]] Fault read_tls(std::string_view word, std::optional<BackTls>& tls) {
  if (word == "none") {
    tls = BackTls::None;
  } else if (word == "starttls") {
    tls = BackTls::StartTls;
  } else if (word == "implicit") {
    tls = BackTls::Implicit;
  } else {
    return "tls is neither none, starttls nor implicit";
  }
  return nullptr;
}

[[nodiscard]] Fault read_way_in(const Fields& fields, Route& route) {
  static constexpr std::string_view mechanisms[] = {"LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER", "EXTERNAL"};
  route.mechanism = ascii_upper(fields.mechanism.value_or(""));
  if (fields.mechanism &&
      std::find(std::begin(mechanisms), std::end(mechanisms), route.mechanism) == std::end(mechanisms)) {
    return "mechanism is none of LOGIN, PLAIN, XOAUTH2, OAUTHBEARER and EXTERNAL";
  }
  if (fields.proxy_protocol) {
    if (*fields.proxy_protocol != "v1" && *fields.proxy_protocol != "v2") return "proxy_protocol is neither v1 nor v2";
    route.proxy_protocol = *fields.proxy_protocol == "v1" ? 1 : 2;
  }
  if (fields.xclient) {
    if (*fields.xclient != "yes" && *fields.xclient != "no") return "xclient is neither yes nor no";
    route.xclient = *fields.xclient == "yes";
  }
  if (fields.sessions_max) {
    const std::optional<uint64_t> sessions = parse_number(*fields.sessions_max);
    if (!sessions || *sessions > UINT32_MAX) return "sessions_max is no number";
    route.sessions_max = static_cast<uint32_t>(*sessions);
  }
  return nullptr;
}

[[nodiscard]] Fault read_route(const Fields& fields, BackPorts ports, Route& route) {
  if (!fields.backs.empty() && fields.pool) return "back and pool exclude each other";
  if (fields.master_user.has_value() != fields.master_password.has_value()) {
    return "master_user and master_password go together";
  }
  if (fields.master_user && fields.password) return "password and master_user exclude each other";
  if (fields.password && fields.password->empty()) return "password is empty";
  if (fields.master_password && fields.master_password->empty()) return "master_password is empty";
  if (fields.tls) {
    if (const Fault fault = read_tls(*fields.tls, route.tls)) return fault;
  }
  if (const Fault fault = read_way_in(fields, route)) return fault;
  const uint16_t port = route.tls == BackTls::Implicit ? ports.implicit : ports.clear;
  for (const std::string_view text : fields.backs) {
    const std::optional<Endpoint> back = Endpoint::parse(text, port);
    if (!back) return "back is not an address with or without a port";
    route.backs.push_back(*back);
  }
  if (fields.moving_to) {
    route.moving_to = Endpoint::parse(*fields.moving_to, port);
    if (!route.moving_to) return "moving_to is not an address with or without a port";
  }
  route.moving_to_tls_name = fields.moving_to_tls_name.value_or("");
  route.user = fields.user.value_or("");
  if (fields.password) route.password = Secret(*fields.password);
  route.master_user = fields.master_user.value_or("");
  if (fields.master_password) route.master_password = Secret(*fields.master_password);
  route.pool = fields.pool.value_or("");
  route.tls_name = fields.tls_name.value_or("");
  return nullptr;
}

bool decode(std::string_view base64, std::string& bytes) {
  return absl::Base64Unescape({base64.data(), base64.size()}, &bytes);
}

// All four or none.
[[nodiscard]] Fault read_scram(const Fields& fields, std::optional<ScramKeys>& scram) {
  const Fields::Value* const values[] = {&fields.iterations, &fields.salt, &fields.stored_key, &fields.server_key};
  const auto there =
      std::count_if(std::begin(values), std::end(values), [](const auto* value) { return value->has_value(); });
  if (there == 0) return nullptr;
  if (there != std::ssize(values)) return "iterations, salt, stored_key and server_key go together";
  const std::optional<uint64_t> iterations = parse_number(*fields.iterations);
  std::string salt, stored_key, server_key;
  const bool decoded =
      decode(*fields.salt, salt) && decode(*fields.stored_key, stored_key) && decode(*fields.server_key, server_key);
  ScramKeys keys{static_cast<uint32_t>(iterations.value_or(0)), std::move(salt), Secret::take(stored_key),
                 Secret::take(server_key)};
  if (!iterations || *iterations < ScramKeys::iterations_min || *iterations > ScramKeys::iterations_max) {
    return "iterations is no number from 4096 to 10000000";
  }
  if (!decoded || keys.salt.empty() || keys.salt.size() > ScramKeys::salt_size_max ||
      keys.stored_key.size() != ScramKeys::key_size || keys.server_key.size() != ScramKeys::key_size) {
    return "salt, stored_key or server_key is not the base64 of what it should be";
  }
  scram = std::move(keys);
  return nullptr;
}

constexpr std::pair<std::string_view, RejectReason> reasons[] = {
    {"credentials", RejectReason::Credentials},
    {"disabled", RejectReason::Disabled},
    {"not_allowed", RejectReason::NotAllowed},
};

[[nodiscard]] Fault read_reject(const Fields& fields, Reject& reject) {
  const auto* reason = std::find_if(std::begin(reasons), std::end(reasons),
                                    [&](const auto& known) { return known.first == fields.reason; });
  // A reason that we have no word for is still a refusal.
  if (reason != std::end(reasons)) reject.reason = reason->second;
  if (fields.delay_ms) {
    const std::optional<uint64_t> delay_ms = parse_number(*fields.delay_ms);
    if (!delay_ms) return "delay_ms is no number";
    reject.delay = Duration(std::min<uint64_t>(*delay_ms, reject_delay_max / Duration(1)));
  }
  reject.code = clean_code(fields.code.value_or(""));
  reject.text = clean_text(fields.text.value_or(""));
  return nullptr;
}

Answer invalid(Fault fault) {
  return Answer{NotNow{"the helper's answer is invalid"}, Keeping{.store = false}, fault};
}

Heard read_operation(std::string_view op, const Form& form) {
  if (op == "hello") return HeardHello{parse_number(form.get("version")).value_or(0), clean_text(form.get("name"))};
  if (op != "invalidate") return HeardUnknown{clean_text(op)};
  HeardInvalidate invalidate;
  for (size_t i = 0; i < form.size(); ++i) {
    if (form.key(i) == "user" && !form.value(i).empty()) invalidate.users.emplace_back(form.value(i));
  }
  if (invalidate.users.empty()) return HeardGarbage{"an invalidate without a user"};
  return invalidate;
}

void write_route(const Route& route, FormWriter& writer) {
  writer.add("result", "ok").add_filled("user", route.user);
  if (route.password) writer.add("password", route.password->reveal());
  writer.add_filled("master_user", route.master_user).add_filled("master_password", route.master_password.reveal());
  for (const Endpoint& back : route.backs)
    writer.add("back", std::string_view(back.text()));
  writer.add_filled("pool", route.pool);
  if (route.moving_to) writer.add("moving_to", std::string_view(route.moving_to->text()));
  writer.add_filled("moving_to_tls_name", route.moving_to_tls_name);
  if (route.tls) {
    switch (*route.tls) {
      case BackTls::None: writer.add("tls", "none"); break;
      case BackTls::StartTls: writer.add("tls", "starttls"); break;
      case BackTls::Implicit: writer.add("tls", "implicit"); break;
    }
  }
  writer.add_filled("tls_name", route.tls_name).add_filled("mechanism", route.mechanism);
  if (route.proxy_protocol != 0) writer.add("proxy_protocol", route.proxy_protocol == 1 ? "v1" : "v2");
  if (route.xclient) writer.add("xclient", *route.xclient ? "yes" : "no");
  if (route.sessions_max != 0) writer.add("sessions_max", uint64_t{route.sessions_max});
}

void write_reject(const Reject& reject, FormWriter& writer) {
  writer.add("result", "reject");
  for (const auto& [word, reason] : reasons) {
    if (reason == reject.reason) writer.add("reason", word);
  }
  if (reject.delay.count() > 0) writer.add("delay_ms", static_cast<uint64_t>(reject.delay.count()));
  writer.add_filled("code", reject.code).add_filled("text", reject.text);
}

}  // namespace

Secret hello_line() {
  FormWriter writer;
  writer.add("op", "hello").add("version", protocol_version).add("name", "postern");
  return *writer.finish();
}

std::optional<Secret> verify_line(uint64_t id, const Question& question) {
  FormWriter writer;
  const bool is_scram = question.kind == Question::Kind::Scram;
  writer.add("op", is_scram ? "scram" : "verify").add("id", id).add("protocol", question.protocol);
  writer.add_filled("listener", question.listener).add("mechanism", question.mechanism);
  writer.add("user", question.user).add_filled("authzid", question.authzid);
  if (!is_scram && question.mechanism != "EXTERNAL") {
    writer.add(question.is_token ? "token" : "password", question.password.reveal());
  }
  const Question::Certificate& certificate = question.certificate;
  writer.add_filled("subject", certificate.subject).add_filled("common_name", certificate.common_name);
  writer.add_filled("email", certificate.email).add_filled("fingerprint", certificate.fingerprint);
  writer.add("client", std::string_view(question.client.text())).add("local", std::string_view(question.local.text()));
  writer.add_filled("tls", question.tls).add_filled("sni", question.sni).add_filled("session", question.session_id);
  return writer.finish();
}

Heard read_line(std::string_view line) {
  Form form;
  switch (form.read(line)) {
    case FormFault::None: break;
    case FormFault::TooLong: return HeardGarbage{"a line of more than 16 KiB"};
    case FormFault::TooManyPairs: return HeardGarbage{"a line of too many pairs"};
    case FormFault::BadEscape: return HeardGarbage{"a line with a % that begins no escape"};
  }
  if (form.size() == 0) return HeardNothing{};
  if (const std::optional<std::string_view> op = form.find("op")) return read_operation(*op, form);
  if (const std::optional<std::string_view> id = form.find("id")) {
    const std::optional<uint64_t> number = parse_number(*id);
    if (!number) return HeardGarbage{"an answer whose id is no number"};
    return HeardAnswer{*number, std::move(form)};
  }
  if (form.get("result") == "error") return HeardError{};
  return HeardGarbage{"a line with neither op nor id"};
}

Answer read_answer(const Form& form, BackPorts ports) {
  Fields fields;
  Answer answer;
  if (const Fault fault = collect(form, fields)) return invalid(fault);
  if (const Fault fault = read_keeping(fields, answer.keeping)) return invalid(fault);
  if (fields.result == "unavailable") {
    answer.verdict = NotNow{clean_text(fields.text.value_or(""))};
    answer.keeping.store = false;
    return answer;
  }
  if (fields.result == "ok") {
    Accept accept;
    if (const Fault fault = read_route(fields, ports, accept.route)) return invalid(fault);
    if (const Fault fault = read_scram(fields, accept.scram)) return invalid(fault);
    // Keys are as good as a password for whoever reads our memory, and are asked for once a login.
    if (accept.scram) answer.keeping.store = false;
    answer.verdict = std::move(accept);
    return answer;
  }
  if (fields.result == "reject") {
    Reject reject;
    if (const Fault fault = read_reject(fields, reject)) return invalid(fault);
    answer.verdict = std::move(reject);
    return answer;
  }
  if (fields.result == "error") return invalid("it does not understand the question");
  return invalid(fields.result ? "result is a word of another version" : "result is missing");
}

Secret pack(const Verdict& verdict) {
  FormWriter writer;
  if (const Accept* accept = std::get_if<Accept>(&verdict)) {
    write_route(accept->route, writer);
  } else if (const Reject* reject = std::get_if<Reject>(&verdict)) {
    write_reject(*reject, writer);
  } else {
    writer.add("result", "unavailable").add_filled("text", std::get<NotNow>(verdict).text);
  }
  const std::optional<Secret> line = writer.finish();
  if (!line) return Secret();
  return Secret(line->reveal().substr(0, line->size() - 1));
}

}  // namespace postern::auth
