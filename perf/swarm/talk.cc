// SPDX-License-Identifier: GPL-3.0-or-later
#include "perf/swarm/talk.h"

#include <utility>

namespace postern::swarm {
namespace {

// A proxy's and a mail server's lines before a mail are short; this is for capability lists and long error texts.
constexpr size_t line_size_max = 65536;

}  // namespace

Heard Talk::hear(std::string_view& chunk, uint64_t& mail_bytes) {
  Heard heard = Heard::Nothing;
  while (!chunk.empty() && heard == Heard::Nothing)
    heard = is_in_mail() ? on_mail(chunk, mail_bytes) : hear_line(chunk);
  return heard;
}

Heard Talk::hear_line(std::string_view& chunk) {
  const size_t newline = chunk.find('\n');
  if (newline == std::string_view::npos) {
    line_.append(std::exchange(chunk, {}));
    return line_.size() > line_size_max ? Heard::Garbage : Heard::Nothing;
  }
  std::string_view line = chunk.substr(0, newline);
  chunk.remove_prefix(newline + 1);
  // Given up, not emptied: thousands rest, and each would keep its memory.
  std::string whole = std::exchange(line_, {});
  if (!whole.empty()) line = whole.append(line);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return on_line(line);
}

Heard Talk::on_mail(std::string_view& /*chunk*/, uint64_t& /*mail_bytes*/) {
  return Heard::Garbage;
}

std::unique_ptr<Talk> make_talk(wire::Protocol protocol) {
  switch (protocol) {
    case wire::Protocol::Imap: return make_imap_talk();
    case wire::Protocol::Pop3: return make_pop3_talk();
    case wire::Protocol::Submission: return make_submission_talk();
  }
  return nullptr;
}

}  // namespace postern::swarm
