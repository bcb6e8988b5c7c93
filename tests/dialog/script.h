// SPDX-License-Identifier: GPL-3.0-or-later
// A dialog as it stands in its file, read into steps. README.md describes the language.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dialect.h"
#include "text.h"

namespace postern::dialog {

enum class Verb : uint8_t {
  Send,         // front> back<
  Expect,       // front< back>
  HelperAsked,  // helper>
  HelperSays,   // helper<
  Open,         // open, tcp, tls .. open
  StartTls,     // tls .. start
  SendRecords,  // tls .. send
  CloseBy,      // close>
  ClosedBy,     // close<
  Wait,         // wait T
  Quiet,        // wait quiet
  Pause,
  Resume,
  Do,
  Crowd,  // live only
  Check,
};

// What must come next.
struct What {
  enum class Kind : uint8_t {
    Octets,    // exactly `text`
    Begins,    // a line that begins with `text`
    Line,      // a line that matches `pattern`
    Login,     // a complete login: words are the user and the password
    StartTls,  // the STARTTLS command
    Id,        // the ID command with the pairs in `words`
    List,      // a whole list: what it must have and lack is in `words`
    Proxy,     // a PROXY header of version 2 with what is in `words`
  };
  Kind kind = Kind::Octets;
  std::string text;
  std::vector<Word> words;
  std::shared_ptr<const std::regex> pattern;
  std::string source;  // as written, for messages
};

struct Step {
  size_t line = 0;
  Verb verb = Verb::Wait;
  std::string who;                  // "front", "back2", "helper"; empty where nobody is named
  Dialect dialect = Dialect::Imap;  // that he speaks
  bool optional = false;            // may be left out: "?"
  std::optional<Duration> within;
  std::string octets;       // Send
  What what;                // Expect
  std::vector<Word> words;  // the rest of the line
};

// A line `set SECTION [NAME] KEY = VALUE`: becomes a line of the configuration file.
struct Setting {
  std::string section, name, key, value;
};

// How a mail server's address behaves, beyond answering as the dialog says.
enum class BackTemper : uint8_t { Accepts, Refuses, Silent };

struct Dialog {
  std::string file;  // whole path
  std::string name;  // "imap/login-in-clear"
  bool in_memory = true;
  bool live = true;
  bool helper_away = false;  // at the start
  std::string helper_hello;  // what the helper says first
  std::vector<Setting> settings;
  std::set<std::string, std::less<>> listeners;  // that are named
  std::map<std::string, BackTemper> backs;       // by address
  std::string capability;                        // what the mail server says of itself when asked; empty: the usual
  std::vector<std::string> secrets;              // no log line and no stranger may see these
  std::string fault;                             // of a deliberately wrong dialog: part of the message that must come
  std::vector<Step> steps;
};

// Throws Fault.
Dialog read_dialog(const std::string& file, const std::string& name);
Dialog read_dialog_text(std::string_view text, const std::string& name);

// The gate's configuration file for this dialog. `certificates` is the folder that holds the files of pki, `helper` the
// helper's socket.
std::string configuration(const Dialog& dialog, const std::string& certificates);

// Whether `who` is "front", "front2", ..., or the same with "back", as `kind` says.
bool is_end(std::string_view who, std::string_view kind);
// "front" is 1, "front2" is 2, ...
size_t number_of_end(std::string_view who);

// Neighbouring lines of one mail program put together, wherever it need not wait for an answer in between.
std::vector<Step> glued(const std::vector<Step>& steps);

}  // namespace postern::dialog
