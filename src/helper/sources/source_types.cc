// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/source_types.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "config/words.h"
#include "helper/names.h"
#include "helper/sources/mariadb.h"
#include "helper/sources/postgresql.h"
#include "helper/sources/sqlite_query.h"

namespace postern::helper {
namespace {

using config::Value;
using std::chrono::seconds;

// An attribute may be a text, a number, or a list of texts where it takes several.
std::optional<std::string> attribute_value(const Value& value) {
  if (value.kind == Value::Kind::Text || value.kind == Value::Kind::Integer) return value.text;
  if (value.kind != Value::Kind::List) return std::nullopt;
  std::string text;
  for (const Value& item : value.items) {
    if (item.kind != Value::Kind::Text || item.text.empty()) return std::nullopt;
    text += (text.empty() ? "" : ",") + item.text;
  }
  return text;
}

void read_route(TableReader& reader, Route& route) {
  for (const RouteAttribute& attribute : route_attributes()) {
    const Value* value = reader.take(attribute.name);
    if (value == nullptr) continue;
    const std::optional<std::string> text = attribute_value(*value);
    if (attribute.secret && value->kind != Value::Kind::Text) {
      reader.wrong(*value, attribute.name, "must be a text in quotes");
      continue;
    }
    if (!text || text->empty()) {
      reader.wrong_kind(*value, attribute.name, std::string(attribute.form));
      continue;
    }
    const absl::Status status = set_attribute(route, attribute.name, *text);
    if (status.ok()) continue;
    // A secret is not shown to whoever reads the log.
    const std::string shown = attribute.secret ? "" : "is " + config::quoted(*text) + ", which ";
    reader.wrong(*value, attribute.name, shown + std::string(status.message()));
  }
  const absl::Status status = check_route(route);
  if (!status.ok()) reader.wrong_table(std::string(status.message()));
}

constexpr std::string_view roles[] = {"login", "route"};
constexpr std::string_view thens[] = {"stop", "continue"};  // in the order of SourceRules::Then
constexpr std::string_view checks[] = {"password", "back"};

void read_then(TableReader& reader, std::string_view key, SourceRules::Then& then) {
  size_t index = static_cast<size_t>(then);
  reader.choice(key, thens, index);
  then = static_cast<SourceRules::Then>(index);
}

// What any source has.
void read_rules(TableReader& reader, SourceRules& rules) {
  reader.text("name", rules.name);
  size_t role = 0;
  reader.choice("role", roles, role);
  rules.only_route = role == 1;
  reader.texts("users", rules.users);
  for (std::string& pattern : rules.users)
    pattern = folded(pattern);
  reader.texts("protocols", rules.protocols);
  for (const std::string& protocol : rules.protocols) {
    if (is_protocol(protocol)) continue;
    reader.wrong(*reader.take("protocols"), "protocols",
                 "has " + config::quoted(protocol) + "; there are \"imap\", \"pop3\", \"submission\" and \"sieve\"");
  }
  read_then(reader, "on_unknown", rules.on_unknown);
  read_then(reader, "on_mismatch", rules.on_mismatch);
  read_then(reader, "on_failure", rules.on_failure);
  reader.number("connections", 1, 256, rules.turnstile.connections);
  reader.duration("timeout", Duration(100), seconds(60), rules.turnstile.timeout);
  reader.duration("retry_after", Duration(0), seconds(300), rules.turnstile.retry_after);
  read_route(reader, rules.defaults);
}

// Of sources that can leave it to the mail server.
void read_check(TableReader& reader, SourceRules& rules) {
  size_t check = 0;
  reader.choice("check", checks, check);
  rules.check_at_back = check == 1;
}

// Of sources that keep hashes, or none where the mail server verifies.
void read_password_rules(TableReader& reader, SourceRules& rules) {
  read_check(reader, rules);
  std::string scheme;
  reader.text("default_scheme", scheme);
  if (!scheme.empty()) rules.default_scheme = scheme.starts_with('{') ? scheme : "{" + scheme + "}";
}

SqliteOptions read_sqlite(TableReader& reader) {
  SqliteOptions options;
  reader.path("database", options.database);
  Duration busy(options.busy_timeout_ms);
  reader.duration("busy_timeout", Duration(0), std::chrono::minutes(1), busy);
  options.busy_timeout_ms = static_cast<uint32_t>(busy.count());
  return options;
}

PasswdFileOptions read_passwd_file(TableReader& reader) {
  PasswdFileOptions options;
  if (reader.take("file") == nullptr) reader.missing("file", "file = \"/etc/postern/users\"");
  reader.path("file", options.file);
  return options;
}

StaticOptions read_static(TableReader& reader, SourceRules& rules) {
  StaticOptions options;
  const Value* match = reader.take("match");
  const std::optional<std::string> patterns = match != nullptr ? attribute_value(*match) : std::nullopt;
  if (match == nullptr) {
    reader.missing("match", "match = \"*@example.test\"");
  } else if (!patterns || patterns->empty()) {
    reader.wrong_kind(*match, "match", "a pattern or a list of patterns, such as \"*@example.test\"");
  } else {
    for (std::string_view rest = *patterns; !rest.empty();) {
      const std::string_view item = rest.substr(0, rest.find(','));
      options.match.push_back(folded(item));
      rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    }
  }
  reader.secret("password", options.password);
  read_check(reader, rules);
  if (!rules.check_at_back && options.password.empty() && !rules.only_route) {
    reader.missing("password",
                   "password = \"{CRYPT}$y$...\" (made by `postern-auth hash`), or check = \"back\" where the mail "
                   "server verifies passwords.");
  } else if (rules.check_at_back && !options.password.empty()) {
    reader.wrong(*reader.take("check"), "check", "is \"back\", and there is a password too; keep one of them");
  }
  return options;
}

// Nobody would verify anything: whoever knows a name would be in.
bool opens_the_door(const StaticOptions& options, const SourceRules& rules) {
  return options.password.empty() && !rules.only_route &&
         (!rules.defaults.password.empty() || !rules.defaults.master_user.empty());
}

template <SqlOptions (*read)(TableReader& reader)>
SourceOptions read_sql(TableReader& reader, SourceRules& rules) {
  read_password_rules(reader, rules);
  return read(reader);
}

struct SourceType {
  std::string_view word;
  SourceOptions (*read)(TableReader& reader, SourceRules& rules);
};

constexpr SourceType types[] = {
    {"sqlite",
     [](TableReader& reader, SourceRules& rules) -> SourceOptions {
       // With a query it is somebody else's database.
       if (reader.take("query") != nullptr) return read_sql<read_sqlite_query>(reader, rules);
       return read_sqlite(reader);
     }},
    {"postgresql", read_sql<read_postgresql>},
    {"mysql", read_sql<read_mariadb>},
    {"mariadb", read_sql<read_mariadb>},
    {"passwd-file",
     [](TableReader& reader, SourceRules& rules) -> SourceOptions {
       read_password_rules(reader, rules);
       return read_passwd_file(reader);
     }},
    {"ldap",
     [](TableReader& reader, SourceRules& rules) -> SourceOptions {
       read_password_rules(reader, rules);
       return read_ldap(reader, rules);
     }},
    {"pam", [](TableReader& reader, SourceRules& rules) -> SourceOptions { return read_pam(reader, rules); }},
    {"http",
     [](TableReader& reader, SourceRules& rules) -> SourceOptions {
       read_check(reader, rules);
       return read_http(reader, rules);
     }},
    {"dovecot", [](TableReader& reader, SourceRules& rules) -> SourceOptions { return read_dovecot(reader, rules); }},
    {"login", [](TableReader& reader, SourceRules& rules) -> SourceOptions { return read_login(reader, rules); }},
    {"oauth2", [](TableReader& reader, SourceRules& rules) -> SourceOptions { return read_oauth2(reader, rules); }},
    {"static",
     [](TableReader& reader, SourceRules& rules) -> SourceOptions {
       StaticOptions options = read_static(reader, rules);
       if (opens_the_door(options, rules)) {
         reader.wrong(*reader.take("type"), "type",
                      "is \"static\" without a password but with one for the mail server: everybody would be let in. "
                      "Give password, or take back_password or master_user out");
       }
       return options;
     }},
};

struct SourceMaker {
  size_t number;

  std::unique_ptr<Source> operator()(SqliteOptions& options) const {
    return std::make_unique<SqliteSource>(std::move(options));
  }
  std::unique_ptr<Source> operator()(PasswdFileOptions& options) const {
    return std::make_unique<PasswdFile>(std::move(options));
  }
  std::unique_ptr<Source> operator()(SqlOptions& options) const {
    return std::make_unique<SqlSource>(std::move(options));
  }
  std::unique_ptr<Source> operator()(LdapOptions& options) const {
    return std::make_unique<LdapSource>(std::move(options));
  }
  std::unique_ptr<Source> operator()(PamOptions& options) const {
    return std::make_unique<PamSource>(std::move(options));
  }
  std::unique_ptr<Source> operator()(HttpOptions& options) const {
    return std::make_unique<HttpSource>(std::move(options));
  }
  std::unique_ptr<Source> operator()(DovecotOptions& options) const {
    return std::make_unique<DovecotSource>(std::move(options));
  }
  std::unique_ptr<Source> operator()(LoginOptions& options) const {
    return std::make_unique<LoginSource>(std::move(options));
  }
  std::unique_ptr<Source> operator()(OAuth2Options& options) const {
    return std::make_unique<OAuth2Source>(std::move(options));
  }
  std::unique_ptr<Source> operator()(StaticOptions& options) const {
    return std::make_unique<StaticSource>(std::move(options), "static:" + std::to_string(number));
  }
};

}  // namespace

std::optional<SourceSetting> read_source(TableReader& reader) {
  const Value* said = reader.take("type");
  if (said == nullptr) {
    reader.missing("type", "type = \"sqlite\"");
    return std::nullopt;
  }
  std::vector<std::string_view> words;
  for (const SourceType& type : types)
    words.push_back(type.word);
  size_t index = words.size();
  reader.choice("type", words, index);
  if (index == words.size()) return std::nullopt;
  SourceRules rules;
  read_rules(reader, rules);
  SourceOptions options = types[index].read(reader, rules);
  reader.finish();
  return SourceSetting{std::move(options), std::move(rules)};
}

std::vector<std::unique_ptr<Source>> make_sources(std::vector<SourceSetting> sources) {
  std::vector<std::unique_ptr<Source>> made;
  for (SourceSetting& setting : sources) {
    made.push_back(std::visit(SourceMaker{made.size() + 1}, setting.options));
    made.back()->set_rules(std::move(setting.rules));
  }
  return made;
}

}  // namespace postern::helper
