// SPDX-License-Identifier: GPL-3.0-or-later
// Message submission (RFC 6409): ESMTP with AUTH PLAIN and an initial response (RFC 4954).
#include <algorithm>

#include "absl/strings/escaping.h"
#include "perf/swarm/talk.h"

namespace postern::swarm {
namespace {

class SubmissionTalk final : public Talk {
 public:
  std::string login_line(unsigned step, const Account& account) override;
  std::string request_line(const Request& request) override;

 private:
  Heard on_line(std::string_view line) override;
};

// RFC 4616: no name to act for, the name, the password.
std::string plain_message(const Account& account) {
  std::string message(1, '\0');
  message.append(account.user).append(1, '\0').append(account.password);
  return absl::Base64Escape(message);
}

std::string SubmissionTalk::login_line(unsigned step, const Account& account) {
  switch (step) {
    case 0: return "EHLO swarm.example.test\r\n";
    case 1: return "AUTH PLAIN " + plain_message(account) + "\r\n";
    default: return {};
  }
}

std::string SubmissionTalk::request_line(const Request& request) {
  return request.kind == Request::Kind::LogOut ? "QUIT\r\n" : "NOOP\r\n";
}

// RFC 5321, section 4.2: a code, and "-" behind it on all lines but the last.
Heard SubmissionTalk::on_line(std::string_view line) {
  const std::string_view code = line.substr(0, 3);
  const bool is_code =
      code.size() == 3 && std::all_of(code.begin(), code.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!is_code) return Heard::Garbage;
  if (code == "421") said_bye_ = true;
  if (line.substr(3).starts_with('-')) return Heard::Nothing;
  return code.front() == '2' ? Heard::Ok : Heard::Refused;
}

}  // namespace

std::unique_ptr<Talk> make_submission_talk() {
  return std::make_unique<SubmissionTalk>();
}

}  // namespace postern::swarm
