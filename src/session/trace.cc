// SPDX-License-Identifier: GPL-3.0-or-later
#include "session/trace.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "protocol/line/word.h"
#include "protocol/mechanism.h"
#include "protocol/sasl/base64.h"

namespace postern::session {
namespace {

constexpr size_t shared_size = 6;

// Commands that are known by name; `open`: what follows them is no secret in any dialect.
struct Known {
  std::string_view word;
  bool open;
};
constexpr Known commands[] = {
    {"CAPABILITY", true}, {"CAPA", true},           {"NOOP", true},     {"ID", true},     {"ENABLE", true},
    {"STARTTLS", true},   {"STLS", true},           {"LOGOUT", true},   {"QUIT", true},   {"EHLO", true},
    {"HELO", true},       {"LHLO", true},           {"RSET", true},     {"HELP", true},   {"UTF8", true},
    {"LANG", true},       {"IMPLEMENTATION", true}, {"XCLIENT", false}, {"LOGIN", false}, {"USER", false},
    {"PASS", false},      {"AUTHENTICATE", false},  {"AUTH", false},    {"MAIL", false},  {"SELECT", false},
    {"APOP", false},
};

std::string bytes_text(std::string_view what, size_t size) {
  return absl::StrFormat("[%s, %u bytes]", what, size);
}

bool is_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

bool shares_plainly(std::string_view text, std::string_view secret) {
  const size_t size = std::min(shared_size, secret.size());
  if (size == 0) return false;
  for (size_t at = 0; at + size <= secret.size(); ++at) {
    if (text.find(secret.substr(at, size)) != text.npos) return true;
  }
  return false;
}

// "{12}", "{12+}" or "{12-}" at the end of a line: as many octets follow that are no line.
std::optional<uint64_t> literal_of(std::string_view line) {
  if (!line.ends_with('}')) return std::nullopt;
  const size_t begin = line.rfind('{');
  if (begin == line.npos) return std::nullopt;
  std::string_view number = line.substr(begin + 1, line.size() - begin - 2);
  if (number.ends_with('+') || number.ends_with('-')) number.remove_suffix(1);
  return line::parse_number<uint64_t>(number);
}

}  // namespace

std::string_view voice_word(Voice voice) {
  switch (voice) {
    case Voice::ProgramToGate: return "program>gate";
    case Voice::GateToProgram: return "gate>program";
    case Voice::GateToServer: return "gate>server";
    case Voice::ServerToGate: return "server>gate";
    case Voice::Gate: return "gate";
  }
  return "unknown";
}

bool shares(std::string_view text, std::string_view secret) {
  if (shares_plainly(text, secret)) return true;
  for (size_t begin = 0; begin < text.size(); ++begin) {
    if (!is_base64(text[begin])) continue;
    size_t end = begin;
    while (end < text.size() && is_base64(text[end]))
      end++;
    // What it is part of may begin at any of four places.
    for (size_t from = begin; from < std::min(begin + 4, end); ++from) {
      const std::string_view run = text.substr(from, (end - from) / 4 * 4);
      std::string decoded;
      if (run.size() < 8 || !sasl::base64_decode(run, decoded)) continue;
      const bool found = shares_plainly(decoded, secret);
      wipe(decoded);
      if (found) return true;
    }
    begin = end;
  }
  return false;
}

// ---- Lines ---------------------------------------------------------------------------------------------------------

void Masker::feed(std::string_view bytes, bool& is_answer, const std::function<void(std::string)>& show) {
  while (!bytes.empty()) {
    if (literal_ != 0) {
      const size_t part = static_cast<size_t>(std::min<uint64_t>(literal_, bytes.size()));
      literal_ -= part;
      bytes.remove_prefix(part);
      continue;
    }
    const size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    size_ += part.size();
    line_.append(part.substr(0, line_size_max - std::min(line_size_max, line_.size())));
    if (end == bytes.npos) return;
    bytes.remove_prefix(end + 1);
    if (line_.ends_with('\r')) {
      line_.pop_back();
      size_--;
    }
    if (size_ > line_.size()) {
      show(bytes_text("a long line", size_));
    } else if (continues_) {
      show("[what follows a literal]");
    } else {
      show(mask(line_, is_answer));
    }
    const std::optional<uint64_t> literal = literal_of(line_);
    literal_ = literal.value_or(0);
    continues_ = literal.has_value();
    wipe(line_.data(), line_.size());
    line_.clear();
    size_ = 0;
  }
}

std::string Masker::mask(std::string_view line, bool& is_answer) {
  if (voice_ == Voice::GateToProgram || voice_ == Voice::ServerToGate) return mask_reply(line, is_answer);
  if (std::exchange(is_answer, false)) return "[answer]";
  return mask_command(line);
}

std::string Masker::mask_command(std::string_view line) const {
  const size_t size = line.size();
  std::string shown;
  std::string_view rest = line;
  if (dialect_ == Dialect::Imap) {
    // What stands in the tag's place may be anything, a piece of a password included.
    (void)line::take_word(rest);
    shown = "tag ";
  }
  const std::string_view word = line::take_word(rest);
  const Known* const known = std::find_if(std::begin(commands), std::end(commands),
                                          [&](const Known& each) { return line::same_word(each.word, word); });
  if (known == std::end(commands)) return bytes_text("not a known command", size);
  shown += known->word;
  if (rest.empty()) return shown;
  if (known->open) return shown + " " + line::one_line(rest, text_size_max);
  if (known->word == "AUTH" || known->word == "AUTHENTICATE") {
    std::string_view name = line::take_word(rest);
    if (name.size() > 2 && name.starts_with('"') && name.ends_with('"')) name = name.substr(1, name.size() - 2);
    const std::optional<protocol::Mechanism> mechanism = protocol::sasl_mechanism(name);
    if (mechanism) shown.append(" ").append(protocol::mechanism_word(*mechanism));
    if (!mechanism) shown += " " + bytes_text("not a known mechanism", name.size());
    return rest.empty() ? shown : shown + " " + std::string("[initial response]");
  }
  return shown + " " + std::string("[arguments]");
}

std::string Masker::mask_reply(std::string_view line, bool& is_answer) const {
  std::string_view rest = line;
  const std::string_view word = line::take_word(rest);
  const bool is_challenge = word == "+" || word == "334";
  // ManageSieve's challenge is a string alone; its capabilities are too short and too well known to be taken for one.
  const bool is_string = dialect_ == Dialect::Sieve && line.size() > 2 && line.starts_with('"') &&
                         line.ends_with('"') && line.find('"', 1) == line.size() - 1 && line != "\"STARTTLS\"" &&
                         line != "\"UNAUTHENTICATE\"";
  if (is_challenge || is_string) {
    is_answer = true;
    const std::string begin = is_string ? "" : std::string(word) + " ";
    return begin + bytes_text("challenge", is_string ? line.size() : rest.size());
  }
  is_answer = false;
  // In IMAP, the tag is the mail program's.
  if (dialect_ == Dialect::Imap && voice_ == Voice::GateToProgram && word != "*")
    return "tag " + line::one_line(rest, text_size_max);
  return line::one_line(line, text_size_max);
}

// ---- A session -----------------------------------------------------------------------------------------------------

Trace::Trace(uint64_t session, Dialect dialect, Instant began)
    : session_(session),
      began_(began),
      last_(began),
      program_(dialect, Voice::ProgramToGate),
      to_program_(dialect, Voice::GateToProgram),
      to_server_(dialect, Voice::GateToServer),
      server_(dialect, Voice::ServerToGate) {}

void Trace::said(Voice voice, std::string_view bytes, Instant now) {
  const auto show = [&](std::string text) { put(voice, std::move(text), now); };
  switch (voice) {
    case Voice::ProgramToGate: return program_.feed(bytes, program_answers_, show);
    case Voice::GateToProgram: return to_program_.feed(bytes, program_answers_, show);
    case Voice::GateToServer: return to_server_.feed(bytes, gate_answers_, show);
    case Voice::ServerToGate: return server_.feed(bytes, gate_answers_, show);
    case Voice::Gate: return show(std::string(bytes));
  }
}

void Trace::note(std::string text, Instant now) {
  put(Voice::Gate, std::move(text), now);
}

void Trace::named(std::string_view user, const TraceWishes& wishes) {
  if (wish_ != nullptr) return;
  for (const std::shared_ptr<TraceWish>& wish : wishes) {
    if (!line::same_word(wish->user, user)) continue;
    uint32_t left = wish->left.load();
    while (left != 0 && !wish->left.compare_exchange_weak(left, left - 1)) {
    }
    if (left == 0) continue;
    wish_ = wish;
    for (TraceLine& line : waiting_)
      wish_->line(std::move(line));
    break;
  }
  waiting_.clear();
}

void Trace::hide(std::string_view secret) {
  if (!secret.empty()) secrets_.emplace_back(secret);
}

void Trace::remark(std::string text) {
  put(Voice::Gate, std::move(text), last_);
}

void Trace::put(Voice voice, std::string text, Instant now) {
  last_ = now;
  if (++lines_ > lines_max) return;
  if (lines_ == lines_max) text = "more lines than a trace shows";
  for (const Secret& secret : secrets_) {
    if (shares(text, secret.reveal())) text = "[a line with a piece of a secret]";
  }
  TraceLine line{session_, std::chrono::duration_cast<Duration>(now - began_), voice, std::move(text)};
  if (wish_ != nullptr) return wish_->line(std::move(line));
  waiting_.push_back(std::move(line));
}

void Trace::finish() {
  if (wish_ != nullptr) wish_->over();
  wish_ = nullptr;
}

// ---- Verdicts ------------------------------------------------------------------------------------------------------

std::string verdict_text(const auth::Verdict& verdict) {
  if (const auto* not_now = std::get_if<auth::NotNow>(&verdict)) return "the helper cannot say: " + not_now->text;
  if (const auto* reject = std::get_if<auth::Reject>(&verdict)) {
    return absl::StrFormat("the helper refuses; code \"%s\", text \"%s\", after %d ms", reject->code, reject->text,
                           reject->delay.count());
  }
  const auth::Route& route = std::get<auth::Accept>(verdict).route;
  std::string text = "the helper accepts;";
  if (!route.user.empty()) text += " user=" + route.user;
  if (!route.pool.empty()) text += " pool=" + route.pool;
  for (const Endpoint& back : route.backs)
    text += " back=" + back.text();
  if (!route.master_user.empty()) text += " master_user=" + route.master_user;
  if (route.password) text += " password=[hidden]";
  if (!route.mechanism.empty()) text += " mechanism=" + route.mechanism;
  if (!route.tls_name.empty()) text += " tls_name=" + route.tls_name;
  if (route.tls) {
    static constexpr std::string_view words[] = {"none", "starttls", "implicit"};
    text.append(" tls=").append(words[static_cast<size_t>(*route.tls)]);
  }
  if (route.sessions_max != 0) text += absl::StrFormat(" sessions_max=%u", route.sessions_max);
  return line::one_line(text, 1000);
}

}  // namespace postern::session
