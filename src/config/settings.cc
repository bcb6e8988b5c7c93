// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/settings.h"

#include "base/check.h"

namespace postern::config {
namespace {

Field field(bool& value) {
  return &value;
}
Field field(uint32_t& value) {
  return &value;
}
Field field(uint64_t& value) {
  return &value;
}
Field field(Duration& value) {
  return &value;
}
Field field(std::string& value) {
  return &value;
}
Field field(std::vector<Endpoint>& value) {
  return &value;
}
Field field(std::vector<Network>& value) {
  return &value;
}
Field field(std::vector<session::MemberOptions>& value) {
  return &value;
}
Field field(std::vector<std::string>& value) {
  return &value;
}
Field field(protocol::Mechanisms& value) {
  return &value;
}

template <typename Enum>
requires std::is_enum_v<Enum> Field field(Enum& value) {
  static_assert(sizeof(Enum) == 1);
  return ChoiceField{reinterpret_cast<unsigned char*>(&value)};
}

// The row's last step: the field of a Config, by its path. A macro, because a path of members is no value in C++.
#define INTO(path) [](Config& config) -> Field { return field(config.path); }
#define INTO_LISTENER(member) INTO(session.listeners.back().member)
#define INTO_POOL(member) INTO(session.pools.back().member)

constexpr uint64_t ms = 1, second = 1000 * ms, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
constexpr uint64_t kib = 1024;

// An address of the file system's sockets holds 108 bytes with its end (unix(7)).
constexpr uint64_t socket_path_max = 107;
constexpr uint64_t path_max = 4095;

// Each list is in the order of its enum.
constexpr std::string_view kernel_words[] = {"auto", "floor"};
constexpr std::string_view target_words[] = {"stderr", "syslog", "journal"};
constexpr std::string_view format_words[] = {"text", "json"};
constexpr std::string_view level_words[] = {"error", "warning", "notice", "info", "debug"};
constexpr std::string_view version_words[] = {"1.2", "1.3"};
constexpr std::string_view dialect_words[] = {"imap", "pop3", "submission", "sieve"};
constexpr std::string_view listener_words[] = {"imap", "pop3", "submission", "sieve", "alpn"};
constexpr std::string_view front_tls_words[] = {"implicit", "starttls", "none"};
constexpr std::string_view mode_words[] = {"helper", "back"};
constexpr std::string_view back_tls_words[] = {"none", "starttls", "implicit"};
constexpr std::string_view balance_words[] = {"order", "least-sessions", "user-hash"};
constexpr std::string_view proxy_words[] = {"none", "v1", "v2"};
// protocol::Mechanism without its first value, the command, which comes with PLAIN and LOGIN.
constexpr std::string_view mechanism_words[] = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN",   "LOGIN",
                                                "OAUTHBEARER",        "XOAUTH2",       "EXTERNAL"};

constexpr Type truth{Kind::Bool};
constexpr Type name{Kind::Name, 1, 64};
constexpr Type host{Kind::Host, 1, 253};  // RFC 1035, section 2.3.4, without the root's dot
constexpr Type file_path{Kind::Path, 2, path_max};
constexpr Type socket_path{Kind::Path, 2, socket_path_max};
constexpr Type count(uint64_t min, uint64_t max) {
  return {Kind::Count, min, max};
}
constexpr Type duration(uint64_t min, uint64_t max) {
  return {Kind::Duration, min, max};
}
constexpr Type size(uint64_t min, uint64_t max) {
  return {Kind::Size, min, max};
}
constexpr Type endpoints(uint64_t max) {
  return {Kind::Endpoints, 1, max};
}
constexpr Type networks(uint64_t max) {
  return {Kind::Networks, 0, max};
}
constexpr Type members(uint64_t max) {
  return {Kind::Members, 1, max};
}
constexpr Type names(uint64_t max) {
  return {Kind::Names, 1, max};
}
constexpr Type texts(uint64_t max) {
  return {Kind::Texts, 0, max};
}
constexpr Type choice(std::span<const std::string_view> words) {
  return {Kind::Choice, 0, 0, words};
}
constexpr Type choices(std::span<const std::string_view> words) {
  return {Kind::Choices, 1, words.size(), words};
}

constexpr Section section_rows[] = {
    {"gate", "The program as a whole."},
    {"log", "What is written, and where."},
    {"tls", "TLS towards mail programs."},
    {"tls.certificate",
     "A certificate with its key. The first is the default; the others are chosen by the name that the mail program "
     "asks for (SNI). "
     "An ECDSA and an RSA certificate of one name may stand side by side.",
     10000, [](Config& config) { config.tls.certificates.emplace_back(); }},
    {"listen", "A door for mail programs.", 256, [](Config& config) { config.session.listeners.emplace_back(); }},
    {"auth", "Who decides about logins."},
    {"auth.cache", "What is remembered of the helper's answers. No password is stored."},
    {"pool", "Mail servers that hold the same mailboxes.", 10000,
     [](Config& config) { config.session.pools.emplace_back(); }},
    {"limits", "How much, how many, how long."},
};

constexpr Setting rows[] = {
    {"gate", "reactors", count(0, 1024), INTO(reactor.reactors),
     "Threads that carry sessions; 0 takes one for each core that this process may use."},
    {"gate", "hostname", host, INTO(session.hostname), "The name in greetings.", "the machine's own name",
     "\"mail.example.test\""},
    {"gate", "user", name, INTO(user),
     "Once the listening sockets are bound, go on as this user. For a start as root without systemd.",
     "stay the user who started it", "\"postern\""},
    {"gate", "control", socket_path, INTO(control),
     "The Unix socket on which posternctl(1) speaks with the gate. Its mode is 0660, its owner and group are those of "
     "the "
     "gate."},
    {"gate", "drain_timeout", duration(0, day), INTO(reactor.drain_timeout),
     "After SIGTERM, sessions may go on for this long before they hear a polite goodbye."},
    {"gate", "upgrade_timeout", duration(0, 7 * day), INTO(reactor.upgrade_timeout),
     "After SIGUSR2, when a new process has taken over the doors, sessions of the old one may go on for this long."},
    {"gate", "kernel_features", choice(kernel_words), INTO(reactor.kernel_features),
     "auto uses what the running kernel offers; floor uses only what Linux 6.1 has, to compare or to look for "
     "trouble."},

    {"log", "target", choice(target_words), INTO(log.target),
     "stderr is also what reaches the journal under systemd, as text; journal speaks to it directly, with every field "
     "as one of its own (POSTERN_USER=...); syslog writes to the facility mail. See postern-log(7)."},
    {"log", "format", choice(format_words), INTO(log.format),
     "text: key=value pairs. json: one object a line, for stderr and syslog; the journal has fields anyway."},
    {"log", "repeats_max", count(0, 1000000), INTO(log.repeats_max),
     "Lines about mail programs that say the same (event, reason, network) in ten seconds; what comes beyond is "
     "counted and told in one line. login and end are always written, login-failed is counted by address, and this "
     "many "
     "of them are enough for fail2ban to see one who guesses. 0: all lines are written."},
    {"log", "level", choice(level_words), INTO(log.level), "The least grave lines that are still written."},

    {"tls", "min_version", choice(version_words), INTO(tls.min_version),
     "The oldest version of TLS that mail programs may use (RFC 8996 forbids all before 1.2)."},
    // The previous two keys still open tickets, and RFC 8446, section 4.6.1, lets no ticket live beyond seven days.
    {"tls", "ticket_rotation", duration(second, 2 * day), INTO(tls.ticket_rotation),
     "A new key for session tickets this often. Tickets of the previous two keys are still accepted."},
    {"tls", "ticket_keys", file_path, INTO(tls.ticket_keys),
     "A file with the keys for session tickets that several gates share, in place of ticket_rotation: one a line, the "
     "newest first, each of 48 random bytes in base64 (`openssl rand -base64 48`). Only its owner may write it and "
     "only "
     "he and its group may read it. It is looked at as often as certificates are.",
     "random keys of this gate alone", "\"/etc/postern/tls/ticket-keys\""},
    {"tls", "folders", texts(100), INTO(tls.folders),
     "Folders with more certificates, chosen by the name that the mail program asks for: pairs such as mail.crt and "
     "mail.key, files such as mail.pem that hold both, and, one folder deeper, the same or fullchain.pem with "
     "privkey.pem. What comes, changes or goes there is noticed.",
     "none", "[\"/etc/letsencrypt/live\"]"},
    {"tls", "certificate_check", duration(0, day), INTO(tls.certificate_check),
     "How often the files of all certificates, keys, client_ca and client_crl are looked at. New ones are used if they "
     "can "
     "be read and belong together, else the former ones stay. With \"0s\" only a reload looks."},
    {"tls", "expiry_warning", duration(0, 365 * day), INTO(tls.expiry_warning),
     "So long before a certificate runs out, the log begins to say so once a day."},
    {"tls.certificate", "chain", file_path, INTO(tls.certificates.back().chain),
     "A PEM file: the certificate, then those between it and its root.", "", "\"/etc/postern/tls/mail.crt\""},
    {"tls.certificate", "key", file_path, INTO(tls.certificates.back().key),
     "A PEM file: the private key of the certificate, without a passphrase.", "", "\"/etc/postern/tls/mail.key\""},

    {"listen", "protocol", choice(listener_words), INTO_LISTENER(dialect),
     "What is spoken here. alpn: each connection says by ALPN (RFC 7301) whether it speaks imap, pop3, smtp (for "
     "submission) or managesieve; one that says nothing, or something else, is refused."},
    {"listen", "addresses", endpoints(64), INTO_LISTENER(addresses), "Where to listen: address and port.", "",
     "[\"0.0.0.0:993\", \"[::]:993\"]"},
    {"listen", "name", name, INTO_LISTENER(name), "The door's name in logs and in questions to the helper.",
     "protocol and first port, such as \"imap-993\"", "\"imap-office\""},
    {"listen", "tls", choice(front_tls_words), INTO_LISTENER(tls),
     "implicit: TLS from the first byte (RFC 8314). starttls: in clear until the mail program asks. none: never."},
    {"listen", "login_without_tls", truth, INTO_LISTENER(login_without_tls),
     "Let passwords cross in clear, where tls is none or starttls. Only for networks that you trust as you trust the "
     "cable."},
    {"listen", "pool", name, INTO_LISTENER(pool), "Where users go whose route names no mail server and no other pool."},
    {"listen", "pools", names(4), INTO_LISTENER(pools),
     "With protocol = \"alpn\", in place of pool: one for each protocol that is served here.", "none",
     "[\"imap\", \"pop3\"]"},
    {"listen", "mechanisms", choices(mechanism_words), INTO_LISTENER(mechanisms),
     "How mail programs may prove who they are. LOGIN and PLAIN bring the protocol's own login command with them. "
     "EXTERNAL "
     "needs client_ca; OAUTHBEARER, XOAUTH2 and SCRAM need a helper that knows them."},
    {"listen", "client_ca", file_path, INTO_LISTENER(client_ca),
     "A PEM file of roots. Mail programs are asked for a certificate and may log in with it (EXTERNAL); one that does "
     "not "
     "lead to these roots is refused.",
     "no certificates are asked for", "\"/etc/postern/tls/users-ca.crt\""},
    {"listen", "client_crl", file_path, INTO_LISTENER(client_crl), "A PEM file of the certificates that were revoked.",
     "none is", "\"/etc/postern/tls/users.crl\""},
    {"listen", "webmail", networks(1000), INTO_LISTENER(webmail),
     "Hosts whose word counts when they name their user's address: IMAP ID x-originating-ip, submission XCLIENT.",
     "none", "[\"192.0.2.80/32\"]"},
    {"listen", "capabilities", texts(200), INTO_LISTENER(capabilities),
     "Announced before login in place of what the health checks have learnt from the mail servers, each in the "
     "protocol's own form.",
     "what all mail servers of the pool say", "[\"SIZE 52428800\", \"8BITMIME\"]"},
    {"listen", "proxy_protocol", truth, INTO_LISTENER(proxy_protocol),
     "Every connection begins with a PROXY header, version 1 or 2, which tells the mail program's address."},
    {"listen", "trusted", networks(1000), INTO_LISTENER(trusted),
     "Who may send PROXY headers; needed with proxy_protocol.", "nobody", "[\"10.0.0.0/8\", \"2001:db8::/32\"]"},

    {"auth", "mode", choice(mode_words), INTO(auth.mode),
     "helper: the helper verifies and routes. back: no helper, everybody goes to the listener's pool and the mail "
     "server verifies."},
    {"auth", "helper", socket_path, INTO(auth.helper), "The Unix socket on which the helper answers."},
    {"auth", "timeout", duration(100 * ms, 5 * minute), INTO(auth.timeout),
     "How long one question may take. Then the mail program hears that the service is temporarily unavailable."},
    {"auth", "in_flight_max", count(1, 1000000), INTO(auth.in_flight_max),
     "Questions under way at the same time, for each reactor. Beyond it, logins are temporarily unavailable."},
    {"auth.cache", "entries", count(0, 100000000), INTO(auth.cache.entries),
     "Accepted logins that are remembered; 0 switches the cache off."},
    {"auth.cache", "reject_entries", count(0, 100000000), INTO(auth.cache.reject_entries),
     "Refused logins that are remembered, in a space of their own: guessing pushes nobody out."},
    {"auth.cache", "ttl", duration(0, 7 * day), INTO(auth.cache.ttl),
     "How long an accepted login counts, unless the helper says otherwise."},
    {"auth.cache", "reject_ttl", duration(0, 7 * day), INTO(auth.cache.reject_ttl),
     "How long a refused login counts, but for three seconds at most: then the helper is asked again, since the "
     "password may have been changed."},
    {"auth.cache", "stale", duration(0, 30 * day), INTO(auth.cache.stale),
     "While the helper is down, an accepted login counts for this much longer."},

    {"pool", "name", name, INTO_POOL(name), "What listeners and the helper call it.", "", "\"default\""},
    {"pool", "protocol", choice(dialect_words), INTO_POOL(dialect), "What its members speak."},
    {"pool", "members", members(1000), INTO_POOL(members),
     "The mail servers: address or name, and port; behind it a weight may stand, as in \"store1.example.test:143 "
     "weight=3\". A name stands for all of its addresses and is looked up again before each health check.",
     "", "[\"192.0.2.10:143\", \"192.0.2.11:143\"]"},
    {"pool", "balance", choice(balance_words), INTO_POOL(balance),
     "order: the first member that is well. least-sessions: the one with the fewest sessions for its weight. "
     "user-hash: "
     "always the same one for a user, as long as it is well."},
    {"pool", "sessions_max", count(0, 10000000), INTO_POOL(sessions_max),
     "Sessions that one member may have; beyond it the next one is taken. 0: no limit."},
    {"pool", "slow_start", duration(0, hour), INTO_POOL(slow_start),
     "With least-sessions: a member that is back after a failed check gets its full share only after this time."},
    {"pool", "check_interval", duration(0, hour), INTO_POOL(check_interval),
     "How often each member is asked how it is and what it can do; 0: never. A member that does not answer is asked "
     "last for a login."},
    {"pool", "tls", choice(back_tls_words), INTO_POOL(tls), "How the gate speaks TLS to the members."},
    {"pool", "tls_name", host, INTO_POOL(tls_name), "The name that must stand in the members' certificates.",
     "none: the route must bring it", "\"store.example.test\""},
    {"pool", "tls_ca", file_path, INTO_POOL(tls_ca), "A PEM file of roots that the members' certificates must lead to.",
     "the system's roots", "\"/etc/postern/tls/inner-ca.crt\""},
    {"pool", "tls_pins", texts(20), INTO_POOL(tls_pins),
     "The members' public keys, each as the base64 of its SHA-256 (as in RFC 7469). Then no CA and no name counts.",
     "none", "[\"X3pGTSOuJeEVw989IJ/cEtXUEmy52zs1TZQrU06KUKg=\"]"},
    {"pool", "tls_certificate", file_path, INTO_POOL(tls_certificate),
     "A PEM file: the certificate that the gate shows to members that ask for one.", "none",
     "\"/etc/postern/tls/gate.crt\""},
    {"pool", "tls_key", file_path, INTO_POOL(tls_key), "A PEM file: the key of tls_certificate.", "none",
     "\"/etc/postern/tls/gate.key\""},
    {"pool", "send_id", truth, INTO_POOL(send_id),
     "Tell the mail server who the mail program is, where it offers that: by ID in IMAP, by XCLIENT in POP3 and "
     "submission. The mail server must trust the gate with it."},
    {"pool", "xclient_login", truth, INTO_POOL(xclient_login),
     "Submission, with send_id: name the user by XCLIENT LOGIN, and send no password. The mail server must take the "
     "gate's word for it."},
    {"pool", "proxy_protocol", choice(proxy_words), INTO_POOL(proxy_protocol),
     "Begin every connection with a PROXY header of that version, which tells the mail program's address; v2 also "
     "tells "
     "its TLS, the user and the session's name."},
    {"pool", "connect_timeout", duration(100 * ms, 5 * minute), INTO_POOL(connect_timeout),
     "How long to wait for one member's connection before the next is tried."},
    {"pool", "login_timeout", duration(100 * ms, 10 * minute), INTO_POOL(login_timeout),
     "How long a member may take from its greeting to the end of the login."},
    {"pool", "retry_after", duration(0, hour), INTO_POOL(retry_after),
     "A member that failed is asked last for this long."},

    {"limits", "sessions", count(1, 10000000), INTO(session.limits.sessions),
     "Sessions at the same time, of all listeners. Beyond it mail programs are turned away; who has logged in stays."},
    {"limits", "sessions_per_address", count(0, 10000000), INTO(session.limits.sessions_per_address),
     "Sessions of one mail program's address, or in IPv6 of its first 64 bits, which are one customer's. An office or "
     "some hundred customers behind one address of their provider stay below the default. 0: no limit."},
    {"limits", "sessions_per_network", count(0, 10000000), INTO(session.limits.sessions_per_network),
     "The same for a whole network, against crowds that change their addresses. It is off because all users of a "
     "provider may come from a few networks. Sessions that began while a limit was 0 are not counted by it. 0: no "
     "limit."},
    {"limits", "network_prefix_v4", count(8, 32), INTO(session.limits.network_prefix_v4),
     "How many leading bits make a network of IPv4 for sessions_per_network: 24 is the least that is routed alone."},
    {"limits", "network_prefix_v6", count(16, 64), INTO(session.limits.network_prefix_v6),
     "The same for IPv6: 48 is what one site gets."},
    {"limits", "sessions_per_user", count(0, 1000000), INTO(session.limits.sessions_per_user),
     "Sessions of one user that have logged in, unless the helper says sessions_max for him. It is off because mail "
     "servers have such limits of their own. 0: no limit."},
    {"limits", "unauthenticated", count(0, 10000000), INTO(session.limits.unauthenticated),
     "Sessions that have not logged in yet; at the limit the newest ones, those that would begin, are turned away. "
     "Each "
     "costs the gate about 9 KiB while it shakes hands, so the default is 180 MiB under attack. 0: no limit."},
    {"limits", "unauthenticated_per_address", count(0, 10000000), INTO(session.limits.unauthenticated_per_address),
     "The same for one address, counted as in sessions_per_address: half of what an office may have, since its mail "
     "programs may all come back at once. 0: no limit."},
    {"limits", "handshake_rate", count(0, 1000000), INTO(session.limits.handshake_rate),
     "TLS handshakes a second; twice as many may come at once. A core does one to two thousand of them. Beyond it mail "
     "programs are turned away before the costly part, and try again. 0: no limit, every one waits its turn."},
    {"limits", "handshake_rate_per_address", count(0, 100000), INTO(session.limits.handshake_rate_per_address),
     "The same for one address, counted as in sessions_per_address; ten times as many may come at once. Only a webmail "
     "needs more than the default, and that belongs into exempt. 0: no limit."},
    {"limits", "exempt", networks(1000), INTO(session.limits.exempt),
     "Networks whose sessions are counted neither by address nor by network, and are not turned away for want of a "
     "login "
     "or for their rate: a webmail's, a monitor's. Only sessions, sessions_per_user and memory hold for them. Behind a "
     "load balancer, the address that counts is the mail program's, from the PROXY header. Hosts in a listener's "
     "webmail "
     "are exempt there.",
     "none", "[\"127.0.0.0/8\", \"::1/128\", \"192.0.2.80/32\"]"},
    {"limits", "memory", size(0, 1024 * 1024 * uint64_t{kib * kib}), INTO(session.limits.memory),
     "Main memory of the process, looked at once a second; while there is more, nobody new comes in, and sessions that "
     "are here go on. Below 64MiB the gate could hardly start. 0B: no limit."},
    {"limits", "proxy_timeout", duration(100 * ms, minute), INTO(session.limits.proxy_timeout),
     "How long a load balancer may take to send its PROXY header, which is the first thing that it knows."},
    {"limits", "handshake_timeout", duration(100 * ms, 10 * minute), INTO(session.limits.handshake_timeout),
     "How long a TLS handshake may take."},
    {"limits", "login_timeout", duration(100 * ms, hour), INTO(session.limits.login_timeout),
     "How long a mail program may take from its connection to the end of its login, whatever it sends meanwhile."},
    {"limits", "idle_timeout", duration(second, 7 * day), INTO(session.limits.idle_timeout),
     "After login, how long both sides may be silent. RFC 9051, section 5.4, wants at least 30 minutes."},
    {"limits", "closing_timeout", duration(100 * ms, 5 * minute), INTO(session.limits.closing_timeout),
     "At the end, how long a mail program may take to accept the last bytes before the connection is cut."},
    {"limits", "line_size", size(kib, 64 * kib), INTO(session.limits.line_size),
     "One command line before login, without literals. RFC 7162, section 4, recommends at least 8192 bytes."},
    {"limits", "literal_size", size(256, 64 * kib), INTO(session.limits.literal_size),
     "One literal before login: a user name or a password."},
    {"limits", "bad_commands", count(1, 1000), INTO(session.limits.bad_commands),
     "Wrong commands before login; at this many the connection ends."},
    {"limits", "login_attempts", count(1, 1000), INTO(session.limits.login_attempts),
     "Failed logins; at this many the connection ends."},
};

#undef INTO_POOL
#undef INTO_LISTENER
#undef INTO

}  // namespace

std::span<const Section> sections() {
  return section_rows;
}
std::span<const Setting> settings() {
  return rows;
}

const Setting* find_setting(std::string_view section, std::string_view name) {
  for (const Setting& setting : rows) {
    if (setting.section == section && setting.name == name) return &setting;
  }
  return nullptr;
}

const Section* find_section(std::string_view name) {
  for (const Section& section : section_rows) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

std::string heading(const Section& section) {
  const std::string name(section.name);
  return section.count_max > 1 ? "[[" + name + "]]" : "[" + name + "]";
}

std::string heading(std::string_view section) {
  const Section* found = find_section(section);
  CHECK(found != nullptr);
  return heading(*found);
}

Config default_config() {
  Config config;
  for (const Section& section : section_rows) {
    if (section.add != nullptr) section.add(config);
  }
  return config;
}

}  // namespace postern::config
