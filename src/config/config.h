// SPDX-License-Identifier: GPL-3.0-or-later
// Config: the whole configuration as one checked value, and the words in which a wrong file is explained.
//
// A file goes in, and out come either one Config or everything that is wrong with it. A Config is made once and never
// changed: the daemon holds it as shared_ptr<const Config>, and a session keeps the one it began with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/options.h"
#include "base/log_line.h"
#include "control/options.h"
#include "reactor/options.h"
#include "session/options.h"
#include "tls/options.h"

namespace postern::config {

using control::LogFormat;
using control::LogOptions;
using control::LogTarget;

// What a loaded Config promises, beyond the range of each value: at least one listener; no name and no address twice;
// a certificate where a listener wants TLS; `trusted` where proxy_protocol is on; every listener's pool exists, and pools
// have members. One exception: with auth.mode = "helper", a file may leave the pool "default" out; then there is one
// without members, for routes that name their own addresses.
struct Config {
  reactor::Options reactor;
  session::Options session;  // session.hostname may be empty: the daemon then fills in the machine's own name
  tls::Options tls;
  auth::Options auth;
  LogOptions log;
  std::string user;                                   // run as this user once the sockets are bound; empty: stay
  std::string control = "/run/postern/control.sock";  // posternctl's socket
  std::string file;                                   // where this was read: the path or the name given to load_text
};

// One thing that is wrong, or worth a second look, with what to do about it.
struct Problem {
  std::string file;
  uint32_t line = 0;    // from 1; 0: the file as a whole
  uint32_t column = 0;  // from 1; 0: the line as a whole
  std::string text;     // full sentences, one line, printable: what the file holds is quoted and escaped

  // "postern.toml:41: [[listen]] names the pool ...": for a terminal or a log.
  std::string sentence() const;
};

// `config` is there exactly when `problems` is empty. Both lists are in the order of the file and hold everything that
// was found, at most `problems_max` each.
struct LoadResult {
  static constexpr size_t problems_max = 100;  // a wrong file of a thousand lines is still readable on a terminal

  std::optional<Config> config;
  std::vector<Problem> problems;
  std::vector<Problem> warnings;
};

// Larger files are refused: it is not a configuration, or it was written by a program that went wrong.
inline constexpr size_t file_size_max = 4 << 20;

// Reads and checks the file, and also looks at the files that it names: certificates and keys must be readable PEM.
// Blocks on the file system; for start, reload and --check, never for a reactor.
LoadResult load_file(const std::string& path);

// The same for text that is at hand; `name` stands for the file in problems. Touches no file.
LoadResult load_text(std::string_view text, std::string_view name);

// Every setting with its default, range and sentence, aligned for a terminal of 100 columns.
std::string settings_text();

// The manual page postern.toml(5) in mdoc.
std::string settings_man();

}  // namespace postern::config
