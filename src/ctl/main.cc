// SPDX-License-Identifier: GPL-3.0-or-later
// posternctl: asks a running gate, and shows what it says.
#include <stdio.h>

#include <string>
#include <vector>

#include "ctl/command_line.h"
#include "ctl/link.h"
#include "ctl/show.h"
#include "ctl/top.h"

namespace postern::ctl {
namespace {

enum Exit : int { Done = 0, Refused = 1, Wrong = 2, Away = 3 };

// The gate answers at once, but for a trace, which may be silent for long.
constexpr Duration patience = std::chrono::seconds(60);

int complain(Exit code, const absl::Status& status) {
  fprintf(stderr, "posternctl: %s\n", std::string(status.message()).c_str());
  return code;
}

void print(const std::string& text) {
  fwrite(text.data(), 1, text.size(), stdout);
  fflush(stdout);
}

// Shows one answer to its end.
int converse(Link& link, const CommandLine& line) {
  bool first = true;
  while (true) {
    absl::StatusOr<std::optional<std::string>> said = link.next(patience);
    if (!said.ok()) return complain(Away, said.status());
    if (!*said && line.command == "trace") continue;
    if (!*said) return complain(Away, absl::DeadlineExceededError(line.socket + ": the gate does not answer"));
    const Json document = Json::parse(**said, nullptr, false);
    if (!document.is_object())
      return complain(Away, absl::InternalError(line.socket + ": what answers there is no Postern gate"));
    if (line.json) print(**said + "\n");
    const auto result = document.find("result");
    const bool failed = result != document.end() && *result != "ok";
    if (!line.json) print(show(line.command, document, first));
    first = false;
    if (!failed && result != document.end()) return Done;
    if (!failed) continue;
    const auto text = document.find("text");
    if (text != document.end() && text->is_string())
      fprintf(stderr, "posternctl: %s\n", printable(text->get_ref<const std::string&>()).c_str());
    return Refused;
  }
}

int run(const std::vector<std::string>& words) {
  const absl::StatusOr<CommandLine> line = read_command_line(words);
  if (!line.ok()) return complain(Wrong, line.status());
  switch (line->what) {
    case CommandLine::What::Help: print(usage()); return Done;
    case CommandLine::What::Version: print("posternctl " POSTERN_VERSION "\n"); return Done;
    case CommandLine::What::Top:
    case CommandLine::What::Ask: break;
  }
  Link link;
  if (const absl::Status status = link.open(line->socket); !status.ok()) return complain(Away, status);
  if (line->what == CommandLine::What::Top && !line->json) {
    const absl::Status status = show_top(link);
    return status.ok() ? Done : complain(status.code() == absl::StatusCode::kFailedPrecondition ? Wrong : Away, status);
  }
  if (const absl::Status status = link.ask(line->request); !status.ok()) return complain(Away, status);
  return converse(link, *line);
}

}  // namespace
}  // namespace postern::ctl

int main(int argc, char** argv) {
  return postern::ctl::run(std::vector<std::string>(argv + 1, argv + argc));
}
