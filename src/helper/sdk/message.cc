// SPDX-License-Identifier: GPL-3.0-or-later
// Lines of the helper protocol: the gate's taken apart, ours put together.
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "helper/sdk/question.h"

namespace postern::helper_sdk {
namespace {

struct Field {
  std::string_view key;
  postern_bytes postern_question::*place;
};

// Each key that a question has a field for, once.
constexpr Field fields[] = {
    {"op", &postern_question::op},
    {"id", &postern_question::id},
    {"protocol", &postern_question::protocol},
    {"mechanism", &postern_question::mechanism},
    {"user", &postern_question::user},
    {"authzid", &postern_question::authzid},
    {"password", &postern_question::password},
    {"token", &postern_question::token},
    {"subject", &postern_question::subject},
    {"common_name", &postern_question::common_name},
    {"email", &postern_question::email},
    {"fingerprint", &postern_question::fingerprint},
    {"client", &postern_question::client},
    {"local", &postern_question::local},
    {"listener", &postern_question::listener},
    {"tls", &postern_question::tls},
    {"sni", &postern_question::sni},
    {"session", &postern_question::session},
};

// False if a known key comes twice: of two user names, who could say which one the gate meant?
[[nodiscard]] bool fill(OwnedQuestion& question) {
  for (size_t i = 0; i < question.form.size(); ++i) {
    for (const Field& field : fields) {
      if (question.form.key(i) != field.key) continue;
      postern_bytes& place = question.*field.place;
      if (place.data != nullptr) return false;
      const std::string_view value = question.form.value(i);
      place = {value.data(), value.size()};
    }
  }
  return question.id.size <= id_size_max;
}

std::string_view word(postern_back_tls tls) {
  switch (tls) {
    case POSTERN_TLS_UNSAID: return "";
    case POSTERN_TLS_NONE: return "none";
    case POSTERN_TLS_STARTTLS: return "starttls";
    case POSTERN_TLS_IMPLICIT: return "implicit";
  }
  return "";
}

std::string_view word(postern_choice choice) {
  switch (choice) {
    case POSTERN_UNSAID: return "";
    case POSTERN_NO: return "no";
    case POSTERN_YES: return "yes";
  }
  return "";
}

std::string_view word(postern_reason reason) {
  switch (reason) {
    case POSTERN_REASON_CREDENTIALS: return "credentials";
    case POSTERN_REASON_DISABLED: return "disabled";
    case POSTERN_REASON_NOT_ALLOWED: return "not_allowed";
  }
  return "credentials";
}

std::string_view word(postern_result result) {
  switch (result) {
    case POSTERN_UNAVAILABLE: return "unavailable";
    case POSTERN_OK: return "ok";
    case POSTERN_REJECT: return "reject";
    case POSTERN_ERROR: return "error";
  }
  return "unavailable";
}

void add_said(auth::FormWriter& writer, std::string_view key, postern_bytes value) {
  if (value.data != nullptr) writer.add(key, view(value));
}

std::string base64(postern_bytes bytes) {
  return absl::Base64Escape({bytes.data, bytes.size});
}

void add_counted(auth::FormWriter& writer, std::string_view key, uint32_t value) {
  if (value != 0) writer.add(key, uint64_t{value});
}

// A route that says two things at once would be understood differently by different gates.
[[nodiscard]] bool is_route_sound(const postern_answer& answer) {
  const bool master = answer.master_user.data != nullptr;
  if (master != (answer.master_password.data != nullptr)) return false;
  if (master && (answer.master_user.size == 0 || answer.master_password.size == 0)) return false;
  // An empty password must not quietly become "the mail program's own".
  if (answer.password.data != nullptr && (master || answer.password.size == 0)) return false;
  if (answer.back_count != 0 && (answer.back == nullptr || answer.pool.data != nullptr)) return false;
  for (size_t i = 0; i < answer.back_count; ++i) {
    if (answer.back[i].size == 0) return false;
  }
  const bool keys = answer.salt.size != 0 && answer.stored_key.size == 32 && answer.server_key.size == 32;
  if (answer.iterations != 0 && !keys) return false;
  return answer.proxy_protocol <= 2;
}

void add_route(auth::FormWriter& writer, const postern_answer& answer) {
  add_said(writer, "user", answer.user);
  add_said(writer, "password", answer.password);
  add_said(writer, "master_user", answer.master_user);
  add_said(writer, "master_password", answer.master_password);
  for (size_t i = 0; i < answer.back_count; ++i)
    writer.add("back", view(answer.back[i]));
  add_said(writer, "pool", answer.pool);
  add_said(writer, "moving_to", answer.moving_to);
  add_said(writer, "moving_to_tls_name", answer.moving_to_tls_name);
  writer.add_filled("tls", word(answer.tls));
  add_said(writer, "tls_name", answer.tls_name);
  add_said(writer, "mechanism", answer.mechanism);
  if (answer.proxy_protocol != 0) writer.add("proxy_protocol", answer.proxy_protocol == 1 ? "v1" : "v2");
  writer.add_filled("xclient", word(answer.xclient));
  add_counted(writer, "sessions_max", answer.sessions_max);
  if (answer.iterations == 0) return;
  writer.add("iterations", uint64_t{answer.iterations}).add("salt", base64(answer.salt));
  writer.add("stored_key", base64(answer.stored_key)).add("server_key", base64(answer.server_key));
}

void add_memory(auth::FormWriter& writer, const postern_answer& answer) {
  add_counted(writer, "ttl", answer.ttl_s);
  writer.add_filled("cache", word(answer.cache));
  add_said(writer, "vary", answer.vary);
}

void add_refusal(auth::FormWriter& writer, const postern_answer& answer) {
  writer.add("reason", word(answer.reason));
  add_counted(writer, "delay_ms", answer.delay_ms);
  add_said(writer, "code", answer.code);
}

BuiltLine finish(auth::FormWriter& writer) {
  std::optional<Secret> line = writer.finish();
  if (!line) return {POSTERN_TOO_LONG, {}};
  return {POSTERN_FINE, std::move(*line)};
}

postern_fault copy_out(const BuiltLine& built, char* line, size_t room, size_t* size) {
  *size = 0;
  if (built.fault != POSTERN_FINE) return built.fault;
  if (built.line.size() > room) return POSTERN_NO_ROOM;
  memcpy(line, built.line.reveal().data(), built.line.size());
  *size = built.line.size();
  return POSTERN_FINE;
}

}  // namespace

BuiltLine build_answer(std::string_view id, const postern_answer& answer) {
  if (id.size() > id_size_max || (id.empty() && answer.result != POSTERN_ERROR)) return {POSTERN_MALFORMED, {}};
  if (answer.result == POSTERN_OK && !is_route_sound(answer)) return {POSTERN_MALFORMED, {}};
  auth::FormWriter writer;
  writer.add_filled("id", id);
  writer.add("result", word(answer.result));
  if (answer.result == POSTERN_OK) add_route(writer, answer);
  if (answer.result == POSTERN_REJECT) add_refusal(writer, answer);
  if (answer.result == POSTERN_OK || answer.result == POSTERN_REJECT) add_memory(writer, answer);
  add_said(writer, "text", answer.text);
  return finish(writer);
}

BuiltLine build_invalidate(std::string_view user) {
  if (user.empty()) return {POSTERN_MALFORMED, {}};
  auth::FormWriter writer;
  writer.add("op", "invalidate").add("user", user);
  return finish(writer);
}

BuiltLine build_hello(std::string_view name) {
  if (name.empty()) return {POSTERN_MALFORMED, {}};
  auth::FormWriter writer;
  writer.add("op", "hello").add("version", uint64_t{POSTERN_HELPER_VERSION}).add("name", name);
  return finish(writer);
}

}  // namespace postern::helper_sdk

using namespace postern;
using namespace postern::helper_sdk;

postern_fault postern_question_parse(const char* line, size_t size, postern_question** question) {
  *question = nullptr;
  std::string_view text(line, size);
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.find('\n') != text.npos) return POSTERN_MALFORMED;
  auto* made = new OwnedQuestion{};
  const auth::FormFault fault = made->form.read(text);
  if (fault == auth::FormFault::None && fill(*made)) {
    *question = made;
    return POSTERN_FINE;
  }
  delete made;
  switch (fault) {
    case auth::FormFault::TooLong:
    case auth::FormFault::TooManyPairs: return POSTERN_TOO_LONG;
    case auth::FormFault::BadEscape:
    case auth::FormFault::None: return POSTERN_MALFORMED;
  }
  return POSTERN_MALFORMED;
}

postern_bytes postern_question_get(const postern_question* question, const char* key) {
  const std::optional<std::string_view> value = owned(question)->form.find(key);
  if (!value) return {nullptr, 0};
  return {value->data(), value->size()};
}

void postern_question_free(postern_question* question) {
  delete owned(question);
}

const postern_peer* postern_question_peer(const postern_question* question) {
  return owned(question)->connection == 0 ? nullptr : &owned(question)->peer;
}

postern_fault postern_answer_build(postern_bytes id, const postern_answer* answer, char* line, size_t room,
                                   size_t* size) {
  return copy_out(build_answer(view(id), *answer), line, room, size);
}

postern_fault postern_invalidate_build(postern_bytes user, char* line, size_t room, size_t* size) {
  return copy_out(build_invalidate(view(user)), line, room, size);
}

postern_fault postern_hello_build(postern_bytes name, char* line, size_t room, size_t* size) {
  return copy_out(build_hello(view(name)), line, room, size);
}
