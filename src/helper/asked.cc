// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/asked.h"

#include "base/endpoint.h"
#include "config/words.h"
#include "helper/names.h"

namespace postern::helper {
namespace {

struct Word {
  std::string_view word;
  Variable variable;
};
constexpr Word words[] = {
    {"user", Variable::User},         {"local", Variable::Local},   {"domain", Variable::Domain},
    {"protocol", Variable::Protocol}, {"client", Variable::Client}, {"server", Variable::Server},
    {"listener", Variable::Listener}, {"sni", Variable::Name},
};

std::string address_of(postern_bytes endpoint) {
  const std::optional<Endpoint> parsed = Endpoint::parse(view(endpoint), 1);
  return parsed ? parsed->address_text() : "";
}

}  // namespace

std::string_view view(postern_bytes bytes) {
  return {bytes.data, bytes.size};
}

Asked::Asked(const postern_question& asked, std::string_view asked_for) : question(asked), user(folded(asked_for)) {}

std::optional<Variable> parse_variable(std::string_view word) {
  for (const Word& known : words) {
    if (known.word == word) return known.variable;
  }
  return std::nullopt;
}

std::string known_variables() {
  std::vector<std::string> names;
  for (const Word& known : words)
    names.push_back("%{" + std::string(known.word) + "}");
  return config::listed(names, "and");
}

std::string value_of(Variable variable, const Asked& asked) {
  const size_t at = asked.user.rfind('@');
  switch (variable) {
    case Variable::User: return asked.user;
    case Variable::Local: return asked.user.substr(0, at);
    case Variable::Domain: return at == std::string::npos ? "" : asked.user.substr(at + 1);
    case Variable::Protocol: return std::string(view(asked.question.protocol));
    case Variable::Client: return address_of(asked.question.client);
    case Variable::Server: return address_of(asked.question.local);
    case Variable::Listener: return std::string(view(asked.question.listener));
    case Variable::Name: return std::string(view(asked.question.sni));
  }
  return "";
}

}  // namespace postern::helper
