// SPDX-License-Identifier: GPL-3.0-or-later
// The table of settings as text: for a terminal, and as the manual page postern.toml(5).
#include <algorithm>

#include "config/config.h"
#include "config/settings.h"
#include "config/values.h"

namespace postern::config {
namespace {

constexpr size_t columns = 100;

std::string type_text(const Setting& setting) {
  const std::string range = range_text(setting);
  switch (setting.type.kind) {
    case Kind::Bool: return "true or false";
    case Kind::Count: return "number " + range;
    case Kind::Duration: return "duration " + range;
    case Kind::Size: return "size " + range;
    case Kind::Choice: return range;
    case Kind::Name: return "name";
    case Kind::Host: return "host name";
    case Kind::Path: return "path";
    case Kind::Endpoints: return "list of " + range + " addresses with ports";
    case Kind::Networks: return "list of " + range + " networks";
    case Kind::Members: return "list of " + range + " hosts with ports";
    case Kind::Choices: return "list of some of " + range;
    case Kind::Names: return "list of " + range + " names";
    case Kind::Texts: return "list of " + range + " texts";
  }
  return "";
}

// "default 0", "default: the machine's own name", "needed".
std::string default_text(const Setting& setting, Config& defaults) {
  const std::string value = value_text(setting, defaults);
  if (!value.empty()) return "default " + value;
  if (setting.unset.empty()) return "needed, for example " + example_text(setting);
  return "default: " + std::string(setting.unset);
}

// Appends the words of `text`, broken before the last column; each line is indented to `indent`, where the first one
// already stands.
void append_wrapped(std::string& result, std::string_view text, size_t indent) {
  size_t column = indent;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    if (column > indent && column + 1 + space > columns) {
      result += '\n';
      result.append(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += ' ';
      ++column;
    }
    result += text.substr(0, space);
    column += space;
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  result += '\n';
}

// Text between macros: each sentence on a line of its own, as mdoc likes it, and nothing that roff would take for its
// own.
void append_mdoc(std::string& page, std::string_view text) {
  bool line_start = true;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (line_start && (c == '.' || c == '\'')) page += "\\&";
    line_start = false;
    if (c == '\\') {
      page += "\\e";
    } else if (c == ' ' && i > 0 && text[i - 1] == '.') {
      page += '\n';
      line_start = true;
    } else {
      page += c;
    }
  }
  page += '\n';
}

constexpr std::string_view page_head = R"(.\" SPDX-License-Identifier: GPL-3.0-or-later
.\" Made from the table in src/config/settings.cc.
.Dd November 25, 2026
.Dt POSTERN.TOML 5
.Os Postern
.Sh NAME
.Nm postern.toml
.Nd configuration of the mail gate
.Sh DESCRIPTION
.Xr postern 8
reads this file when it starts, and again at SIGHUP.
Sessions that are open at a SIGHUP keep the configuration they began with.
When anything in the file is wrong, nothing of it is used:
.Xr postern 8
does not start, or goes on with the configuration it has, and says everything that is wrong, each with its line.
.Pp
.Dl postern --check -c FILE
.Pp
says the same without starting anything.
.Pp
The form is TOML, version 1.0.
A
.Li #
begins a comment.
Headings in single brackets stand once, those in double brackets once for each thing that they describe.
A duration is a whole number with its unit,
.Li ms , s , m , h
or
.Li d ;
a size likewise with
.Li B , KiB , MiB
or
.Li GiB .
Both stand in quotes.
An address stands with its port:
.Li \(dq192.0.2.7:993\(dq
or
.Li \(dq[2001:db8::7]:993\(dq .
Paths begin with a slash.
)";

// A test loads what stands here.
constexpr std::string_view page_tail = R"(.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/postern/postern.toml
where
.Xr postern 8
looks without
.Fl c .
.El
.Sh EXAMPLES
IMAP with TLS on port 993, a helper on its usual socket, and two mail servers for those users whose route the helper
leaves open:
.Bd -literal -offset indent
[[tls.certificate]]
chain = "/etc/postern/tls/mail.crt"
key = "/etc/postern/tls/mail.key"

[[listen]]
protocol = "imap"
addresses = ["0.0.0.0:993", "[::]:993"]

[[pool]]
name = "default"
members = ["10.0.0.10:143", "10.0.0.11:143"]
.Ed
.Sh SEE ALSO
.Xr postern 8 ,
.Xr postern-auth 8 ,
.Xr postern-helper 7
)";

}  // namespace

std::string settings_text() {
  Config defaults = default_config();
  size_t indent = 0;
  for (const Setting& setting : settings())
    indent = std::max(indent, setting.name.size() + 4);
  std::string result;
  for (const Section& section : sections()) {
    if (!result.empty()) result += '\n';
    result += heading(section) + "\n  ";
    append_wrapped(result, section.sentence, 2);
    for (const Setting& setting : settings()) {
      if (setting.section != section.name) continue;
      result += "\n  ";
      result += setting.name;
      result.append(indent - 2 - setting.name.size(), ' ');
      append_wrapped(result, type_text(setting) + "; " + default_text(setting, defaults), indent);
      result.append(indent, ' ');
      append_wrapped(result, setting.sentence, indent);
    }
  }
  return result;
}

std::string settings_man() {
  Config defaults = default_config();
  std::string page(page_head);
  page += ".Sh SETTINGS\n";
  for (const Section& section : sections()) {
    page += ".Ss " + heading(section) + "\n";
    append_mdoc(page, section.sentence);
    page += ".Bl -tag -width Ds\n";
    for (const Setting& setting : settings()) {
      if (setting.section != section.name) continue;
      page += ".It Ic ";
      page += setting.name;
      page += '\n';
      append_mdoc(page, type_text(setting) + "; " + default_text(setting, defaults));
      page += ".br\n";
      append_mdoc(page, setting.sentence);
    }
    page += ".El\n";
  }
  page += page_tail;
  return page;
}

}  // namespace postern::config
