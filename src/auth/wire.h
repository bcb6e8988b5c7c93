// SPDX-License-Identifier: GPL-3.0-or-later
// Wire: the helper protocol, version 1, as seen by the gate: questions become lines, lines become what the helper said.
//
// The gate writes                                      the helper writes
//   op=hello&version=1&name=postern                      op=hello&version=1&name=postern-auth
//   op=verify&id=17&protocol=imap&mechanism=PLAIN&...    id=17&result=ok&user=joe&back=127.0.1.1%3A143&ttl=300
//                                                        id=18&result=reject&reason=credentials&delay_ms=2000
//                                                        id=19&result=unavailable&text=database+is+down
//                                                        op=invalidate&user=joe%40example.test
// Keys of `verify`: id, protocol, listener, mechanism, user, authzid, password or token, subject, common_name, email and
// fingerprint (of the mail program's certificate), client, local, tls, sni, session; those without a value are left out.
// `op=scram` has the same without a password; a good answer to it brings iterations, salt, stored_key and server_key
// (the last three in base64) besides the route, which may not lean on the mail program's own password. Unknown keys of an answer are ignored. A known key with a value that the protocol does
// not have makes the whole answer invalid, which is NotNow and never a mismatch: half an understood route could send a
// password to the wrong place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "auth/form.h"
#include "auth/question.h"
#include "base/secret.h"

namespace postern::auth {

inline constexpr uint64_t protocol_version = 1;

// However slow the helper wants a refusal to be: a session must not hang for hours by a slip of the pen.
inline constexpr Duration reject_delay_max = std::chrono::seconds(30);
// A `ttl` beyond this is cut to it.
inline constexpr Duration ttl_max = std::chrono::hours(24 * 30);
// Bytes of `text` and `code` that are kept for the mail program or the log.
inline constexpr size_t text_size_max = 400;
inline constexpr size_t code_size_max = 64;

// What an answer says of its own keeping.
struct Keeping {
  std::optional<Duration> ttl;  // empty: as the configuration says
  bool store = true;            // false with `cache=no`, `ttl=0`, or a `vary` by something that the gate has no key for
  bool vary_client = false;     // holds for this client address only
};

struct Answer {
  Verdict verdict;
  Keeping keeping;
  // Why the verdict is NotNow though the helper meant something else, as half a sentence for the log ("back is not an
  // address and port"); empty if the answer was well-formed. Never shows a value.
  std::string fault;
};

// The gate's first line on a connection, with its LF.
Secret hello_line();
// A question's line, with its LF; nullopt if it would exceed line_size_max.
[[nodiscard]] std::optional<Secret> verify_line(uint64_t id, const Question& question);

// What one line of the helper is. Only the answer's form is kept: how to read it depends on the question.
struct HeardNothing {};  // an empty line
struct HeardGarbage {
  std::string_view why;  // a fixed phrase
};
struct HeardHello {
  uint64_t version = 0;
  std::string name;
};
struct HeardAnswer {
  uint64_t id = 0;
  Form form;
};
struct HeardInvalidate {
  std::vector<std::string> users;  // never empty; "*" is all
};
struct HeardError {};  // `result=error` to something without an id: our hello is not understood
struct HeardUnknown {  // an `op` of a later version
  std::string op;
};
using Heard =
    std::variant<HeardNothing, HeardGarbage, HeardHello, HeardAnswer, HeardInvalidate, HeardError, HeardUnknown>;

// Reads one line, without its LF.
[[nodiscard]] Heard read_line(std::string_view line);
// Reads the answer to a question whose dialect has these ports.
[[nodiscard]] Answer read_answer(const Form& form, BackPorts ports);

// A verdict in the protocol's words without an id, as a form line without LF; read_answer() gives the same verdict
// back. The cache keeps verdicts so: in one small block that is wiped as a whole. Empty if it were longer than
// line_size_max.
[[nodiscard]] Secret pack(const Verdict& verdict);

}  // namespace postern::auth
