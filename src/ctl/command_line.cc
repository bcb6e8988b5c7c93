// SPDX-License-Identifier: GPL-3.0-or-later
#include "ctl/command_line.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace postern::ctl {
namespace {

using Words = std::vector<std::string>;

// How the words behind a command become pairs.
enum class Form {
  Nothing,
  Filter,  // user, key=value ...
  Session,
  Level,
  Cache,
  Backends,
  Move,
  Trace,
};

struct Row {
  std::string_view command;
  std::string_view synopsis;  // of what follows it
  std::string_view sentence;
  Form form;
};

constexpr Row rows[] = {
    {"status", "", "what the gate is doing", Form::Nothing},
    {"top", "", "the same, live; q quits", Form::Nothing},
    {"sessions", "[FILTER ...]", "list sessions", Form::Filter},
    {"session", "ID", "show one session", Form::Session},
    {"trace", "USER [SESSIONS [SECONDS]]", "show one user's next logins, secrets masked", Form::Trace},
    {"kick", "FILTER ... | all", "end sessions now", Form::Filter},
    {"move", "USER [ADDRESS:PORT] [hold=SECONDS] | USER cancel", "send a user to another mail server", Form::Move},
    {"reload", "", "read the configuration anew", Form::Nothing},
    {"cache", "[show [USER] | drop USER]", "look into what is remembered, or forget a user", Form::Cache},
    {"backends", "[disable | enable ADDRESS:PORT]", "list mail servers, or take one out of service", Form::Backends},
    {"metrics", "", "all figures as Prometheus reads them", Form::Nothing},
    {"log-level", "[LEVEL]", "show or set the least grave lines that are logged", Form::Level},
};

constexpr std::string_view filter_keys[] = {"session", "user", "protocol", "state", "front", "back", "port"};

absl::Status wrong(const Row& row, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrFormat("%s. Usage: posternctl %s %s", why, row.command, row.synopsis));
}

absl::Status add_filter(const Row& row, const Words& words, Request& request) {
  for (const std::string& word : words) {
    const size_t split = word.find('=');
    const std::string key = split == word.npos ? "user" : word.substr(0, split);
    if (split == word.npos && word == "all" && row.command != "sessions") {
      request.emplace_back("all", "yes");
      continue;
    }
    if (std::find(std::begin(filter_keys), std::end(filter_keys), key) == std::end(filter_keys)) {
      return wrong(row, absl::StrFormat("%s: a filter is a user's name, or one of session=, user=, protocol=, state=, "
                                        "front=, back= and port=",
                                        word));
    }
    request.emplace_back(key, split == word.npos ? word : word.substr(split + 1));
  }
  return absl::OkStatus();
}

absl::Status add_arguments(const Row& row, const Words& words, Request& request) {
  switch (row.form) {
    case Form::Nothing: return words.empty() ? absl::OkStatus() : wrong(row, words[0] + ": nothing may follow");
    case Form::Filter:
      if (words.empty() && row.command != "sessions") return wrong(row, "it must be said which sessions");
      return add_filter(row, words, request);
    case Form::Session:
      if (words.size() != 1) return wrong(row, "one session must be named");
      request.emplace_back("session", words[0]);
      return absl::OkStatus();
    case Form::Trace: {
      static constexpr const char* keys[] = {"user", "sessions", "seconds"};
      if (words.empty() || words.size() > std::size(keys)) return wrong(row, "one user must be named");
      for (size_t i = 0; i < words.size(); ++i)
        request.emplace_back(keys[i], words[i]);
      return absl::OkStatus();
    }
    case Form::Cache:
      if (words.empty() || (words[0] == "show" && words.size() == 1)) return absl::OkStatus();
      if (words.size() != 2 || (words[0] != "show" && words[0] != "drop")) return wrong(row, "that is not understood");
      request.emplace_back(words[0] == "show" ? "user" : "drop", words[1]);
      return absl::OkStatus();
    case Form::Backends:
      if (words.empty()) return absl::OkStatus();
      if (words.size() != 2 || (words[0] != "disable" && words[0] != "enable"))
        return wrong(row, "that is not understood");
      request.emplace_back(words[0], words[1]);
      return absl::OkStatus();
    case Form::Move:
      if (words.empty()) return wrong(row, "a user must be named");
      request.emplace_back("user", words[0]);
      for (size_t i = 1; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word == "cancel") {
          request.emplace_back("cancel", "yes");
        } else if (word.starts_with("hold=")) {
          request.emplace_back("hold_seconds", word.substr(5));
        } else {
          request.emplace_back("back", word);
        }
      }
      return absl::OkStatus();
    case Form::Level:
      if (words.size() > 1) return wrong(row, "one level is enough");
      if (!words.empty()) request.emplace_back("level", words[0]);
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

std::string make_usage() {
  std::string text =
      "posternctl: looks into a running Postern, and steers it\n"
      "\n"
      "usage: posternctl [--socket PATH] [--json] COMMAND ...\n"
      "       posternctl --version | --help\n"
      "\n";
  for (const Row& row : rows)
    text += absl::StrFormat("  %-34s%s\n", absl::StrFormat("%s %s", row.command, row.synopsis), row.sentence);
  text +=
      "\n"
      "A FILTER is a user's name, or one of session=ID, user=NAME, protocol=imap, state=Relaying, front=NETWORK,\n"
      "back=ADDRESS[:PORT] and port=PORT (of the listener); several must all hold.\n"
      "PATH is /run/postern/control.sock unless told otherwise. --json prints the gate's answer, one document a line.\n"
      "Ends with 0 when the gate has done it, 1 when it could not, 2 when the command is wrong, 3 when the gate "
      "cannot\n"
      "be reached.\n";
  return text;
}

}  // namespace

const std::string& usage() {
  static const std::string text = make_usage();
  return text;
}

absl::StatusOr<CommandLine> read_command_line(const std::vector<std::string>& words) {
  CommandLine line;
  size_t at = 0;
  Words arguments;
  // Options may stand anywhere: `posternctl sessions --json`.
  for (; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (word == "--json" || word == "-j") {
      line.json = true;
    } else if (word == "--socket" || word == "-s") {
      if (++at == words.size()) return absl::InvalidArgumentError("--socket: a path must follow");
      line.socket = words[at];
    } else if (word.starts_with("--socket=")) {
      line.socket = word.substr(9);
    } else if (word == "--help" || word == "-h") {
      line.what = CommandLine::What::Help;
      return line;
    } else if (word == "--version") {
      line.what = CommandLine::What::Version;
      return line;
    } else if (word.size() > 1 && word[0] == '-') {
      return absl::InvalidArgumentError(absl::StrFormat("%s: there is no such option. See posternctl --help", word));
    } else if (line.command.empty()) {
      line.command = word;
    } else {
      arguments.push_back(word);
    }
  }
  if (line.command.empty()) return absl::InvalidArgumentError("a command is missing. See posternctl --help");
  const auto row =
      std::find_if(std::begin(rows), std::end(rows), [&](const Row& each) { return each.command == line.command; });
  if (row == std::end(rows)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: there is no such command. See posternctl --help", line.command));
  }
  if (row->command == "top") line.what = CommandLine::What::Top;
  line.request.emplace_back("op", row->command == "top" ? "status" : line.command);
  if (const absl::Status status = add_arguments(*row, arguments, line.request); !status.ok()) return status;
  return line;
}

}  // namespace postern::ctl
