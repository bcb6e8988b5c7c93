// SPDX-License-Identifier: GPL-3.0-or-later
// POP3 (RFC 1939).
#include <algorithm>

#include "perf/swarm/talk.h"

namespace postern::swarm {
namespace {

class Pop3Talk final : public Talk {
 public:
  std::string login_line(unsigned step, const Account& account) override;
  std::string request_line(const Request& request) override;

 private:
  Heard on_line(std::string_view line) override;
  bool is_in_mail() const override { return is_in_mail_; }
  Heard on_mail(std::string_view& chunk, uint64_t& mail_bytes) override;

  bool fetches_ = false;
  bool is_in_mail_ = false;
  std::string tail_;  // the last bytes before the chunk that comes next: the end may be cut in two
};

// Of POP3, one can only ask for so many lines. Our simulated mail server's have so many bytes.
constexpr uint64_t line_size = 64;
// A line with nothing but a dot, and the end of the line before it.
constexpr std::string_view mail_end = "\r\n.\r\n";

std::string Pop3Talk::login_line(unsigned step, const Account& account) {
  switch (step) {
    case 0: return "USER " + account.user + "\r\n";
    case 1: return "PASS " + account.password + "\r\n";
    default: return {};
  }
}

std::string Pop3Talk::request_line(const Request& request) {
  fetches_ = request.kind == Request::Kind::Fetch;
  if (request.kind == Request::Kind::LogOut) return "QUIT\r\n";
  if (!fetches_) return "NOOP\r\n";
  if (request.size == 0) return "RETR 1\r\n";
  return "TOP 1 " + std::to_string((request.size + line_size - 1) / line_size) + "\r\n";
}

Heard Pop3Talk::on_line(std::string_view line) {
  if (line.starts_with("-ERR")) return Heard::Refused;
  if (!line.starts_with("+OK")) return Heard::Garbage;
  if (!fetches_) return Heard::Ok;
  is_in_mail_ = true;
  tail_ = "\r\n";
  return Heard::Nothing;
}

// All bytes that come before the last line count, also a dot that was sent twice.
Heard Pop3Talk::on_mail(std::string_view& chunk, uint64_t& mail_bytes) {
  constexpr size_t overlap = mail_end.size() - 1;
  const std::string seam = tail_ + std::string(chunk.substr(0, overlap));
  size_t size = std::string_view::npos;
  if (const size_t at = seam.find(mail_end); at != std::string::npos) {
    size = at + mail_end.size() - tail_.size();
  } else if (const size_t inside = chunk.find(mail_end); inside != std::string_view::npos) {
    size = inside + mail_end.size();
  }
  is_in_mail_ = size == std::string_view::npos;
  if (is_in_mail_) {
    size = chunk.size();
    tail_ += chunk.substr(size - std::min(size, overlap));
    tail_.erase(0, tail_.size() - std::min(tail_.size(), overlap));
  }
  mail_bytes += size;
  chunk.remove_prefix(size);
  if (is_in_mail_) return Heard::Nothing;
  mail_bytes -= std::string_view(".\r\n").size();
  return Heard::Ok;
}

}  // namespace

std::unique_ptr<Talk> make_pop3_talk() {
  return std::make_unique<Pop3Talk>();
}

}  // namespace postern::swarm
