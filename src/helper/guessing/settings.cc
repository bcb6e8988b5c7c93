// SPDX-License-Identifier: GPL-3.0-or-later
#include <optional>
#include <string_view>
#include <utility>

#include "config/words.h"
#include "helper/guessing/options.h"
#include "helper/table_reader.h"

namespace postern::helper {
namespace {

using config::Value;

// What fits into the kernel's address of a Unix socket.
constexpr size_t socket_size_max = 107;

void read_nets(TableReader& reader, std::vector<Network>& nets) {
  constexpr std::string_view key = "allow_nets";
  const Value* value = reader.take(key);
  if (value == nullptr) return;
  if (value->kind != Value::Kind::List) return reader.wrong_kind(*value, key, "a list such as [\"192.0.2.0/24\"]");
  nets.clear();
  for (const Value& item : value->items) {
    const std::optional<Network> net =
        item.kind == Value::Kind::Text ? Network::parse(item.text) : std::optional<Network>();
    if (!net) return reader.wrong_kind(item, key, "a list of networks such as \"192.0.2.0/24\"");
    nets.push_back(*net);
  }
}

bool is_store(std::string_view place) {
  if (!place.starts_with("unix:")) return Endpoint::parse(place).has_value();
  place.remove_prefix(5);
  return place.starts_with('/') && place.size() <= socket_size_max && place.find('\0') == place.npos;
}

void read_shared(TableReader& reader, GuessingOptions& options) {
  reader.text("shared", options.shared);
  if (!options.shared.empty() && !is_store(options.shared)) {
    reader.wrong(*reader.take("shared"), "shared",
                 "is " + config::quoted(options.shared) +
                     ", which is no store. Write \"unix:/run/redis/redis.sock\" or \"127.0.0.1:6379\"");
  }
  reader.secret_file("shared_password_file", options.shared_password);
  reader.duration("shared_timeout", Duration(1), std::chrono::seconds(2), options.shared_timeout);
}

void read_policy(TableReader& reader, GuessingOptions& options) {
  reader.text("policy_url", options.policy_url);
  const bool http = options.policy_url.starts_with("http://") || options.policy_url.starts_with("https://");
  if (!options.policy_url.empty() && !http) {
    reader.wrong(*reader.take("policy_url"), "policy_url",
                 "is " + config::quoted(options.policy_url) + ". Write, for example: \"http://127.0.0.1:8084/\"");
  }
  reader.secret_file("policy_password_file", options.policy_password);
  reader.duration("policy_timeout", Duration(1), std::chrono::seconds(10), options.policy_timeout);
}

}  // namespace

GuessingOptions read_guessing(TableReader& reader) {
  using std::chrono::hours;
  using std::chrono::seconds;
  GuessingOptions options;
  reader.number("block_after", 0, block_after_max, options.block_after);
  reader.number("block_after_user", 0, block_after_max, options.block_after_user);
  reader.number("block_after_net", 0, block_after_max, options.block_after_net);
  reader.duration("window", seconds(1), hours(24 * 7), options.window);
  reader.duration("block_for", seconds(1), hours(24 * 7), options.block_for);
  // The gate holds nothing back for longer.
  reader.duration("delay_first", Duration(0), seconds(30), options.delay_first);
  reader.duration("delay_max", Duration(0), seconds(30), options.delay_max);
  read_nets(reader, options.allow_nets);
  reader.duration("known_for", seconds(0), hours(24 * 366), options.known_for);
  reader.number("entries_max", 100, 10000000, options.entries_max);
  reader.secret_file("digest_key_file", options.digest_key);
  read_shared(reader, options);
  read_policy(reader, options);
  reader.finish();
  return options;
}

}  // namespace postern::helper
