// SPDX-License-Identifier: GPL-3.0-or-later
#include "dialect.h"

#include <algorithm>
#include <iterator>

namespace postern::dialog {
namespace {

constexpr DialectWords all_words[] = {
    {
        .dialect = Dialect::Imap,
        .pool = "default",
        .back_port = "143",
        .back_tls_port = "993",
        .greet = "\\* OK .*",
        .ok = " OK .*",
        .no = " NO .*",
        .bad = " BAD .*",
        .temp = " NO \\[UNAVAILABLE\\].*",
        .challenge = "+",
        .starttls = "STARTTLS",
        .starttls_ok = "s0 OK .*",
        .back_greet = "* OK Mail server ready\r\n",
        .back_capability = "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ ID IDLE",
        .back_ok = "@tag OK done\r\n",
        .back_starttls_ok = "@tag OK done\r\n",
    },
    {
        .dialect = Dialect::Pop3,
        .pool = "pop3",
        .back_port = "110",
        .back_tls_port = "995",
        .greet = "\\+OK .*",
        .ok = "\\+OK .*",
        .no = "-ERR \\[AUTH\\] .*",
        .bad = "-ERR [^\\[].*",
        .temp = "-ERR \\[SYS/TEMP\\] .*",
        .challenge = "+ ",
        .starttls = "STLS",
        .starttls_ok = "\\+OK .*",
        .back_greet = "+OK Mail server ready\r\n",
        .back_capability = "",
        .back_ok = "+OK done\r\n",
        .back_starttls_ok = "+OK done\r\n",
    },
    {
        .dialect = Dialect::Submission,
        .pool = "submission",
        .back_port = "587",
        .back_tls_port = "465",
        .greet = "220 .*",
        .ok = "235 2\\.7\\.0 .*",
        .no = "535 5\\.7\\.8 .*",
        .bad = "50[0-4] 5\\..*",
        .temp = "454 4\\.7\\.0 .*",
        .challenge = "3",
        .starttls = "STARTTLS",
        .starttls_ok = "220 .*",
        .back_greet = "220 store.example.test ESMTP ready\r\n",
        .back_capability = "PIPELINING\nSTARTTLS\nAUTH PLAIN LOGIN\nSIZE 1000000",
        .back_ok = "235 2.7.0 done\r\n",
        .back_starttls_ok = "220 2.0.0 done\r\n",
    },
    {
        .dialect = Dialect::Sieve,
        .pool = "sieve",
        .back_port = "4190",
        .back_tls_port = "4190",
        .greet = "",
        .ok = "OK .*",
        .no = "NO \"[^\"]*\"",
        .bad = "NO \"[^\"]*\"",
        .temp = "NO \\(TRYLATER\\) .*",
        .challenge = "\"",
        .starttls = "STARTTLS",
        .starttls_ok = "OK .*",
        .back_greet = "OK \"Mail server ready\"\r\n",
        .back_capability = "\"IMPLEMENTATION\" \"Mail server\"\n\"SASL\" \"PLAIN LOGIN XOAUTH2 OAUTHBEARER\"\n"
                           "\"SIEVE\" \"fileinto\"\n\"STARTTLS\"\n\"VERSION\" \"1.0\"",
        .back_ok = "OK \"done\"\r\n",
        .back_starttls_ok = "OK \"done\"\r\n",
    },
};

constexpr UsualListener listeners[] = {
    {"imaps", Dialect::Imap, "implicit", 993},
    {"imap", Dialect::Imap, "starttls", 143},
    {"plain", Dialect::Imap, "none", 10143},
    {"pop3s", Dialect::Pop3, "implicit", 995},
    {"pop3", Dialect::Pop3, "starttls", 110},
    {"plain-pop3", Dialect::Pop3, "none", 10110},
    {"submissions", Dialect::Submission, "implicit", 465},
    {"submission", Dialect::Submission, "starttls", 587},
    {"plain-submission", Dialect::Submission, "none", 10587},
    {"sieves", Dialect::Sieve, "implicit", 14190},
    {"sieve", Dialect::Sieve, "starttls", 4190},
    {"plain-sieve", Dialect::Sieve, "none", 24190},
    {"alpn", Dialect::Alpn, "implicit", 443},
};

std::string as_lines(std::string_view list, std::string_view before) {
  std::string lines;
  while (!list.empty()) {
    const std::string_view one = list.substr(0, list.find('\n'));
    list.remove_prefix(std::min(list.size(), one.size() + 1));
    lines.append(before).append(one).append("\r\n");
  }
  return lines;
}

std::string_view usual_or(Dialect dialect, const std::string& capability) {
  return capability.empty() ? words_in(dialect).back_capability : std::string_view(capability);
}

enum class Place : uint8_t { Inside, Last, Outside };

Place place_of(std::string_view line, bool is_first, Dialect dialect) {
  switch (dialect) {
    case Dialect::Submission:
      if (line.starts_with("250-")) return Place::Inside;
      return line.starts_with("250 ") ? Place::Last : Place::Outside;
    case Dialect::Pop3:
      if (is_first) return line.starts_with("+OK") ? Place::Inside : Place::Outside;
      return line == "." ? Place::Last : Place::Inside;
    case Dialect::Sieve:
      if (line.starts_with('"')) return Place::Inside;
      return line.starts_with("OK") ? Place::Last : Place::Outside;
    case Dialect::Imap:
    case Dialect::Alpn: break;
  }
  if (line.starts_with("* ")) return Place::Inside;
  return !is_first && line.find(" OK ") != line.npos ? Place::Last : Place::Outside;
}

}  // namespace

const DialectWords& words_in(Dialect dialect) {
  return all_words[dialect == Dialect::Alpn ? 0 : static_cast<size_t>(dialect)];
}

std::span<const UsualListener> usual_listeners() {
  return listeners;
}

const UsualListener* find_listener(std::string_view name) {
  const auto* found = std::find_if(std::begin(listeners), std::end(listeners),
                                   [name](const UsualListener& one) { return one.name == name; });
  return found == std::end(listeners) ? nullptr : found;
}

Dialect dialect_of_pool(std::string_view name) {
  const auto* found = std::find_if(std::begin(all_words), std::end(all_words),
                                   [name](const DialectWords& one) { return one.pool == name; });
  return found == std::end(all_words) ? Dialect::Imap : found->dialect;
}

Dialect dialect_of_alpn(std::string_view offered) {
  if (offered == "smtp") return Dialect::Submission;
  return offered == "managesieve" ? Dialect::Sieve : dialect_of_word(offered);
}

Dialect dialect_of_word(std::string_view word) {
  for (const DialectWords& one : all_words) {
    if (session::dialect_word(one.dialect) == word) return one.dialect;
  }
  return Dialect::Imap;
}

std::string back_greeting(Dialect dialect, const std::string& capability) {
  const std::string greet(words_in(dialect).back_greet);
  return dialect == Dialect::Sieve ? as_lines(usual_or(dialect, capability), "") + greet : greet;
}

std::string ehlo_reply(const std::string& capability) {
  return "250-store.example.test\r\n" + as_lines(usual_or(Dialect::Submission, capability), "250-") + "250 HELP\r\n";
}

size_t list_size(std::string_view inbox, Dialect dialect) {
  for (size_t begin = 0; begin < inbox.size();) {
    const size_t end = inbox.find("\r\n", begin);
    if (end == inbox.npos) return 0;
    const Place place = place_of(inbox.substr(begin, end - begin), begin == 0, dialect);
    begin = end + 2;
    if (place == Place::Last) return begin;
    if (place == Place::Outside) return 0;
  }
  return 0;
}

}  // namespace postern::dialog
