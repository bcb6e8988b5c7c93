// SPDX-License-Identifier: GPL-3.0-or-later
// A whole file becomes a Config: every value arrives where it belongs, and what is left out has its default.
#include <gtest/gtest.h>

#include "tests/unit/config/sentences.h"

namespace postern::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view everything = R"(
[gate]
reactors = 3
hostname = "mail.example.test"
user = "postern"
control = "/run/p/control.sock"
drain_timeout = "90s"
kernel_features = "floor"

[log]
target = "syslog"
format = "json"
repeats_max = 9
level = "debug"

[tls]
min_version = "1.3"
ticket_rotation = "1h"
[[tls.certificate]]
chain = "/a/ecdsa.crt"
key = "/a/ecdsa.key"
[[tls.certificate]]
chain = "/a/rsa.crt"
key = "/a/rsa.key"

[[listen]]
protocol = "imap"
addresses = ["192.0.2.1:993", "[2001:db8::1]:993"]
[[listen]]
name = "office"
addresses = ["10.0.0.1:143"]
tls = "starttls"
login_without_tls = true
pool = "old"
proxy_protocol = true
trusted = ["10.0.0.0/8", "fd00::/8"]
[[listen]]
addresses = ["127.0.0.1:1143"]
tls = "none"
login_without_tls = true

[auth]
mode = "helper"
helper = "/run/p/auth.sock"
timeout = "700ms"
in_flight_max = 17
[auth.cache]
entries = 1
reject_entries = 2
ttl = "3m"
reject_ttl = "4s"
stale = "1d"

[[pool]]
name = "default"
members = ["10.0.0.10:143"]
[[pool]]
name = "old"
protocol = "imap"
members = ["10.0.0.11:993", "[fd00::11]:993"]
tls = "implicit"
tls_name = "store.example.test"
tls_ca = "/a/ca.crt"
send_id = true
connect_timeout = "1s"
login_timeout = "2s"
retry_after = "3s"

[limits]
sessions = 4
sessions_per_address = 3
sessions_per_network = 4
network_prefix_v4 = 16
network_prefix_v6 = 56
sessions_per_user = 2
unauthenticated = 3
unauthenticated_per_address = 1
handshake_rate = 20
handshake_rate_per_address = 10
exempt = ["192.0.2.80/32"]
memory = "5GiB"
proxy_timeout = "2s"
closing_timeout = "3s"
handshake_timeout = "5s"
login_timeout = "6s"
idle_timeout = "30m"
line_size = "1KiB"
literal_size = "512B"
bad_commands = 7
login_attempts = 8
)";

Config load(std::string_view text) {
  LoadResult result = load_text(text, "test.toml");
  EXPECT_EQ(sentences(result), "");
  return result.config ? *result.config : Config{};
}

TEST(Config, CarriesTheProgramAndItsTls) {
  const Config config = load(everything);
  EXPECT_EQ(config.file, "test.toml");
  EXPECT_EQ(config.reactor.reactors, 3u);
  EXPECT_EQ(config.reactor.kernel_features, reactor::KernelFeatures::Floor);
  EXPECT_EQ(config.reactor.drain_timeout, seconds(90));
  EXPECT_EQ(config.session.hostname, "mail.example.test");
  EXPECT_EQ(config.user, "postern");
  EXPECT_EQ(config.control, "/run/p/control.sock");
  EXPECT_EQ(config.log.target, LogTarget::Syslog);
  EXPECT_EQ(config.log.format, LogFormat::Json);
  EXPECT_EQ(config.log.repeats_max, 9u);
  EXPECT_EQ(config.log.level, Severity::Debug);
  EXPECT_EQ(config.tls.min_version, tls::Version::Tls13);
  EXPECT_EQ(config.tls.ticket_rotation, hours(1));
  ASSERT_EQ(config.tls.certificates.size(), 2u);
  EXPECT_EQ(config.tls.certificates[0].chain, "/a/ecdsa.crt");
  EXPECT_EQ(config.tls.certificates[1].key, "/a/rsa.key");
}

TEST(Config, CarriesListeners) {
  const Config config = load(everything);
  ASSERT_EQ(config.session.listeners.size(), 3u);
  const session::ListenerOptions& first = config.session.listeners[0];
  EXPECT_EQ(first.name, "imap-993");
  EXPECT_EQ(first.addresses, (std::vector{*Endpoint::parse("192.0.2.1:993"), *Endpoint::parse("[2001:db8::1]:993")}));
  EXPECT_EQ(first.tls, session::FrontTls::Implicit);
  EXPECT_EQ(first.pool, "default");
  EXPECT_FALSE(first.login_without_tls);
  EXPECT_FALSE(first.proxy_protocol);
  const session::ListenerOptions& second = config.session.listeners[1];
  EXPECT_EQ(second.name, "office");
  EXPECT_EQ(second.tls, session::FrontTls::StartTls);
  EXPECT_EQ(second.pool, "old");
  EXPECT_TRUE(second.login_without_tls);
  EXPECT_TRUE(second.proxy_protocol);
  ASSERT_EQ(second.trusted.size(), 2u);
  EXPECT_TRUE(second.trusted[0].contains(*Endpoint::parse("10.1.2.3:1")));
  EXPECT_TRUE(second.trusted[1].contains(*Endpoint::parse("[fd00::1]:1")));
  EXPECT_EQ(config.session.listeners[2].tls, session::FrontTls::None);
  EXPECT_EQ(config.session.listeners[2].name, "imap-1143");
}

TEST(Config, CarriesAuthAndItsCache) {
  const auth::Options options = load(everything).auth;
  EXPECT_EQ(options.mode, auth::Mode::Helper);
  EXPECT_EQ(options.helper, "/run/p/auth.sock");
  EXPECT_EQ(options.timeout, milliseconds(700));
  EXPECT_EQ(options.in_flight_max, 17u);
  EXPECT_EQ(options.cache.entries, 1u);
  EXPECT_EQ(options.cache.reject_entries, 2u);
  EXPECT_EQ(options.cache.ttl, minutes(3));
  EXPECT_EQ(options.cache.reject_ttl, seconds(4));
  EXPECT_EQ(options.cache.stale, hours(24));
}

TEST(Config, CarriesPools) {
  const Config config = load(everything);
  ASSERT_EQ(config.session.pools.size(), 2u);
  EXPECT_EQ(config.session.pools[0].name, "default");
  EXPECT_EQ(config.session.pools[0].tls, auth::BackTls::None);
  const session::PoolOptions& old = config.session.pools[1];
  ASSERT_EQ(old.members.size(), 2u);
  EXPECT_EQ(old.members[0].address, Endpoint::parse("10.0.0.11:993"));
  EXPECT_EQ(old.members[1].address, Endpoint::parse("[fd00::11]:993"));
  EXPECT_EQ(old.tls, auth::BackTls::Implicit);
  EXPECT_EQ(old.tls_name, "store.example.test");
  EXPECT_EQ(old.tls_ca, "/a/ca.crt");
  EXPECT_TRUE(old.send_id);
  EXPECT_EQ(old.connect_timeout, seconds(1));
  EXPECT_EQ(old.login_timeout, seconds(2));
  EXPECT_EQ(old.retry_after, seconds(3));
}

TEST(Config, CarriesLimits) {
  const session::Limits limits = load(everything).session.limits;
  EXPECT_EQ(limits.sessions, 4u);
  EXPECT_EQ(limits.sessions_per_address, 3u);
  EXPECT_EQ(limits.sessions_per_network, 4u);
  EXPECT_EQ(limits.network_prefix_v4, 16u);
  EXPECT_EQ(limits.network_prefix_v6, 56u);
  EXPECT_EQ(limits.sessions_per_user, 2u);
  EXPECT_EQ(limits.unauthenticated, 3u);
  EXPECT_EQ(limits.unauthenticated_per_address, 1u);
  EXPECT_EQ(limits.handshake_rate, 20u);
  EXPECT_EQ(limits.handshake_rate_per_address, 10u);
  ASSERT_EQ(limits.exempt.size(), 1u) << "what is written stands in place of the default";
  EXPECT_TRUE(limits.exempt[0].contains(*Endpoint::parse("192.0.2.80:1")));
  EXPECT_EQ(limits.memory, uint64_t{5} << 30);
  EXPECT_EQ(limits.proxy_timeout, seconds(2));
  EXPECT_EQ(limits.closing_timeout, seconds(3));
  EXPECT_EQ(limits.handshake_timeout, seconds(5));
  EXPECT_EQ(limits.login_timeout, seconds(6));
  EXPECT_EQ(limits.idle_timeout, minutes(30));
  EXPECT_EQ(limits.line_size, 1024u);
  EXPECT_EQ(limits.literal_size, 512u);
  EXPECT_EQ(limits.bad_commands, 7u);
  EXPECT_EQ(limits.login_attempts, 8u);
}

// What the file leaves out is what the options' own declarations say.
TEST(Config, DefaultsAreThoseOfTheOptions) {
  const Config config = load(
      "[[listen]]\naddresses = [\"127.0.0.1:1143\"]\ntls = \"none\"\nlogin_without_tls = true\n"
      "[[pool]]\nname = \"x\"\nmembers = [\"127.0.0.1:143\"]\n");
  const Config fresh;
  EXPECT_EQ(config.reactor.reactors, fresh.reactor.reactors);
  EXPECT_EQ(config.reactor.kernel_features, fresh.reactor.kernel_features);
  EXPECT_EQ(config.reactor.drain_timeout, fresh.reactor.drain_timeout);
  EXPECT_EQ(config.user, fresh.user);
  EXPECT_EQ(config.control, fresh.control);
  EXPECT_EQ(config.log.target, fresh.log.target);
  EXPECT_EQ(config.log.format, fresh.log.format);
  EXPECT_EQ(config.log.repeats_max, fresh.log.repeats_max);
  EXPECT_EQ(config.log.level, fresh.log.level);
  EXPECT_EQ(config.tls.min_version, fresh.tls.min_version);
  EXPECT_EQ(config.tls.ticket_rotation, fresh.tls.ticket_rotation);
  EXPECT_EQ(config.auth.mode, fresh.auth.mode);
  EXPECT_EQ(config.auth.helper, fresh.auth.helper);
  EXPECT_EQ(config.auth.timeout, fresh.auth.timeout);
  EXPECT_EQ(config.auth.in_flight_max, fresh.auth.in_flight_max);
  EXPECT_EQ(config.auth.cache.entries, fresh.auth.cache.entries);
  EXPECT_EQ(config.auth.cache.reject_entries, fresh.auth.cache.reject_entries);
  EXPECT_EQ(config.auth.cache.ttl, fresh.auth.cache.ttl);
  EXPECT_EQ(config.auth.cache.reject_ttl, fresh.auth.cache.reject_ttl);
  EXPECT_EQ(config.auth.cache.stale, fresh.auth.cache.stale);
  EXPECT_EQ(config.session.hostname, "");
  const session::PoolOptions pool, &loaded = config.session.pools[0];
  EXPECT_EQ(loaded.tls, pool.tls);
  EXPECT_EQ(loaded.tls_name, pool.tls_name);
  EXPECT_EQ(loaded.tls_ca, pool.tls_ca);
  EXPECT_EQ(loaded.send_id, pool.send_id);
  EXPECT_EQ(loaded.connect_timeout, pool.connect_timeout);
  EXPECT_EQ(loaded.login_timeout, pool.login_timeout);
  EXPECT_EQ(loaded.retry_after, pool.retry_after);
  EXPECT_EQ(config.session.limits.sessions, fresh.session.limits.sessions);
  EXPECT_EQ(config.session.limits.sessions_per_address, fresh.session.limits.sessions_per_address);
  EXPECT_EQ(config.session.limits.sessions_per_network, fresh.session.limits.sessions_per_network);
  EXPECT_EQ(config.session.limits.network_prefix_v4, fresh.session.limits.network_prefix_v4);
  EXPECT_EQ(config.session.limits.network_prefix_v6, fresh.session.limits.network_prefix_v6);
  EXPECT_EQ(config.session.limits.sessions_per_user, fresh.session.limits.sessions_per_user);
  EXPECT_EQ(config.session.limits.unauthenticated, fresh.session.limits.unauthenticated);
  EXPECT_EQ(config.session.limits.unauthenticated_per_address, fresh.session.limits.unauthenticated_per_address);
  EXPECT_EQ(config.session.limits.handshake_rate, fresh.session.limits.handshake_rate);
  EXPECT_EQ(config.session.limits.handshake_rate_per_address, fresh.session.limits.handshake_rate_per_address);
  EXPECT_EQ(config.session.limits.memory, fresh.session.limits.memory);
  EXPECT_EQ(config.session.limits.proxy_timeout, fresh.session.limits.proxy_timeout);
  EXPECT_EQ(config.session.limits.closing_timeout, fresh.session.limits.closing_timeout);
  EXPECT_EQ(config.session.limits.exempt.size(), fresh.session.limits.exempt.size());
  EXPECT_EQ(config.session.limits.handshake_timeout, fresh.session.limits.handshake_timeout);
  EXPECT_EQ(config.session.limits.login_timeout, fresh.session.limits.login_timeout);
  EXPECT_EQ(config.session.limits.idle_timeout, fresh.session.limits.idle_timeout);
  EXPECT_EQ(config.session.limits.line_size, fresh.session.limits.line_size);
  EXPECT_EQ(config.session.limits.literal_size, fresh.session.limits.literal_size);
  EXPECT_EQ(config.session.limits.bad_commands, fresh.session.limits.bad_commands);
  EXPECT_EQ(config.session.limits.login_attempts, fresh.session.limits.login_attempts);
}

}  // namespace
}  // namespace postern::config
