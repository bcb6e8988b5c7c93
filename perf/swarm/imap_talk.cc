// SPDX-License-Identifier: GPL-3.0-or-later
// IMAP (RFC 9051, and 3501 before it).
#include <algorithm>
#include <charconv>

#include "perf/swarm/talk.h"

namespace postern::swarm {
namespace {

class ImapTalk final : public Talk {
 public:
  std::string login_line(unsigned step, const Account& account) override;
  std::string request_line(const Request& request) override;

 private:
  Heard on_line(std::string_view line) override;
  Heard on_untagged(std::string_view line);
  bool is_in_mail() const override { return literal_left_ > 0; }
  Heard on_mail(std::string_view& chunk, uint64_t& mail_bytes) override;
  std::string tagged(std::string_view command);

  uint32_t tag_ = 0;  // of the last command
  bool idles_ = false;
  uint64_t literal_left_ = 0;
};

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out += '"';
}

std::string ImapTalk::tagged(std::string_view command) {
  std::string line = "t";
  return line.append(std::to_string(++tag_)).append(" ").append(command).append("\r\n");
}

std::string ImapTalk::login_line(unsigned step, const Account& account) {
  if (step > 0) return {};
  return tagged("LOGIN " + quoted(account.user) + " " + quoted(account.password));
}

std::string ImapTalk::request_line(const Request& request) {
  idles_ = request.kind == Request::Kind::Idle;
  switch (request.kind) {
    case Request::Kind::Noop: return tagged("NOOP");
    case Request::Kind::Fetch:
      if (request.size == 0) return tagged("FETCH 1 BODY[]");
      return tagged("FETCH 1 BODY[]<0." + std::to_string(request.size) + ">");
    case Request::Kind::Idle: return tagged("IDLE");
    case Request::Kind::Done: return "DONE\r\n";
    case Request::Kind::LogOut: return tagged("LOGOUT");
  }
  return {};
}

Heard ImapTalk::on_line(std::string_view line) {
  if (line.starts_with("* BYE")) said_bye_ = true;
  if (tag_ == 0) return line.starts_with("* OK") ? Heard::Ok : Heard::Refused;
  if (line.starts_with("* ")) return on_untagged(line);
  if (line.starts_with('+')) return idles_ ? Heard::Ok : Heard::Nothing;
  const std::string tag = "t" + std::to_string(tag_) + " ";
  if (!line.starts_with(tag)) return Heard::Nothing;  // the end of a line that had a literal
  return line.substr(tag.size()).starts_with("OK") ? Heard::Ok : Heard::Refused;
}

Heard ImapTalk::on_untagged(std::string_view line) {
  const size_t open = line.rfind('{');
  if (!line.ends_with('}') || open == std::string_view::npos) return Heard::Nothing;
  const char* end = line.data() + line.size() - 1;
  const auto parsed = std::from_chars(line.data() + open + 1, end, literal_left_);
  return parsed.ec == std::errc() && parsed.ptr == end ? Heard::Nothing : Heard::Garbage;
}

Heard ImapTalk::on_mail(std::string_view& chunk, uint64_t& mail_bytes) {
  const size_t size = std::min<uint64_t>(literal_left_, chunk.size());
  literal_left_ -= size;
  mail_bytes += size;
  chunk.remove_prefix(size);
  return Heard::Nothing;  // the rest of its line follows
}

}  // namespace

std::unique_ptr<Talk> make_imap_talk() {
  return std::make_unique<ImapTalk>();
}

}  // namespace postern::swarm
