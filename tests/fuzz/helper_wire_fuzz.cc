// SPDX-License-Identifier: GPL-3.0-or-later
// A stranger in the place of the helper. The first byte chooses what was asked, the second how the rest is cut; in the
// rest NUL ends the connection and makes a new one, and \x01 lets a second pass. Whatever comes: the same bytes give
// the same conversation in any pieces, every session gets exactly one verdict, verdicts survive the cache, and no line
// of the log breaks.
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "auth/cache.h"
#include "auth/desk.h"
#include "auth/form.h"
#include "auth/wire.h"
#include "expect.h"

namespace {

using namespace postern;
using namespace postern::auth;
using namespace std::chrono_literals;

constexpr std::string_view password = "pw_8#";

// Stands in for HMAC-SHA256; here nobody attacks it.
std::array<uint8_t, 32> hash(std::string_view message) {
  std::array<uint8_t, 32> digest{};
  for (size_t lane = 0; lane < 4; ++lane) {
    uint64_t value = 0xcbf29ce484222325u + lane;
    for (const char c : message)
      value = (value ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
    for (size_t i = 0; i < 8; ++i)
      digest[lane * 8 + i] = static_cast<uint8_t>(value >> (8 * i));
  }
  return digest;
}

// What went in comes out again, byte for byte.
void check_verdict(const Verdict& verdict) {
  const Secret packed = pack(verdict);
  if (packed.empty()) return;  // Too long, which is known and bounded.
  Form form;
  EXPECT_OR_DIE(form.read(packed.reveal()) == FormFault::None);
  const Answer answer = read_answer(form, BackPorts{});
  EXPECT_OR_DIE(answer.fault.empty());
  EXPECT_OR_DIE(pack(answer.verdict) == packed);
  if (const Reject* reject = std::get_if<Reject>(&verdict)) {
    EXPECT_OR_DIE(reject->delay >= Duration(0) && reject->delay <= reject_delay_max);
    EXPECT_OR_DIE((reject->text + reject->code).find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    EXPECT_OR_DIE(reject->code.find(']') == std::string::npos);
  }
}

class Play {
 public:
  explicit Play(unsigned choice) : cache_(options().cache, hash), desk_(options(), cache_) {
    if ((choice & 1) != 0) connect();
    for (Ticket ticket = 1; ticket <= 5; ++ticket)
      ask(ticket, choice);
  }

  void feed(std::string_view bytes, size_t piece) {
    while (!bytes.empty()) {
      const size_t act = bytes.find_first_of(std::string_view("\0\1", 2));
      std::string_view said = bytes.substr(0, act);
      bytes.remove_prefix(said.size());
      for (; !said.empty(); said.remove_prefix(std::min(piece, said.size()))) {
        desk_.on_received(said.substr(0, piece), now_);
        look();
      }
      if (bytes.empty()) return;
      if (bytes.front() == '\0') connect();
      if (bytes.front() == '\1') pass(1s);
      bytes.remove_prefix(1);
    }
  }

  // Ends the conversation and tells all of it.
  std::string end() {
    pass(options().timeout);
    EXPECT_OR_DIE(verdicts_.size() == 5);
    EXPECT_OR_DIE(desk_.report().in_flight == 0 && desk_.report().waiting == 0);
    EXPECT_OR_DIE(cache_.report().entries <= options().cache.entries);
    EXPECT_OR_DIE(cache_.report().reject_entries <= options().cache.reject_entries);
    for (const auto& [ticket, verdict] : verdicts_)
      transcript_ += std::to_string(ticket) + " " + verdict + "\n";
    return transcript_;
  }

 private:
  static Options options() {
    Options options;
    options.in_flight_max = 3;
    options.cache.entries = 2;
    options.cache.reject_entries = 1;
    options.cache.ttl = 2s;
    return options;
  }

  void ask(Ticket ticket, unsigned choice) {
    Question question;
    question.protocol = "imap";
    question.mechanism = "PLAIN";
    question.user = std::string("user") + static_cast<char>('0' + (ticket % 4));
    question.password = Secret(password);
    if ((choice & 2) != 0) question.authzid = "ann";
    question.client.address[3] = static_cast<uint8_t>((choice & 4) != 0 ? ticket : 7);
    if (const std::optional<Verdict> verdict = desk_.ask(question, ticket, now_)) answered(ticket, *verdict);
    look();
  }

  // A new connection, with a proper hello; whoever wants another one says it on top.
  void connect() {
    desk_.on_disconnected(now_);
    pass(100ms);
    if (!desk_.wants_connection(now_)) return;
    desk_.on_connecting(now_);
    desk_.on_connected(now_);
    desk_.on_received("op=hello&version=1&name=h\n", now_);
    look();
  }

  void pass(Duration duration) {
    now_ += duration;
    desk_.on_time(now_);
    look();
  }

  void answered(Ticket ticket, const Verdict& verdict) {
    check_verdict(verdict);
    EXPECT_OR_DIE(verdicts_.emplace(ticket, std::string(pack(verdict).reveal())).second);
  }

  // What the reactor does after each call.
  void look() {
    const Secret output = desk_.take_output();
    EXPECT_OR_DIE(output.empty() || output.reveal().ends_with('\n'));
    EXPECT_OR_DIE(output.empty() || !desk_.must_disconnect());
    transcript_ += output.reveal();
    while (const std::optional<DeskAnswer> answer = desk_.next_answer())
      answered(answer->ticket, answer->verdict);
    while (const std::optional<LogLine> line = desk_.next_log())
      check_log(line->text());
  }

  void check_log(const std::string& line) {
    for (const char c : line)
      EXPECT_OR_DIE(c >= ' ' && c < 0x7f);
    // Only these two show the helper's own words, which may be anything.
    const bool quotes_helper = line.find("state=up") != line.npos || line.find("problem=unknown") != line.npos;
    EXPECT_OR_DIE(quotes_helper || line.find(password) == line.npos);
    transcript_ += line + "\n";
  }

  Instant now_ = Instant{} + 1h;
  Cache cache_;
  Desk desk_;
  std::map<Ticket, std::string> verdicts_;
  std::string transcript_;
};

std::string play(unsigned choice, std::string_view bytes, size_t piece) {
  Play play(choice);
  play.feed(bytes, piece);
  return play.end();
}

// A line that can be read can be written, and then says the same.
void check_form(std::string_view line) {
  Form form;
  if (form.read(line) != FormFault::None) return;
  FormWriter writer;
  for (size_t i = 0; i < form.size(); ++i)
    writer.add(form.key(i), form.value(i));
  const std::optional<Secret> written = writer.finish();
  if (!written) return;  // It held bytes raw that take three when they are encoded.
  EXPECT_OR_DIE(written->reveal().find('\n') == written->size() - 1);
  Form again;
  EXPECT_OR_DIE(again.read(written->reveal().substr(0, written->size() - 1)) == FormFault::None);
  EXPECT_OR_DIE(again.size() == form.size());
  for (size_t i = 0; i < form.size(); ++i) {
    EXPECT_OR_DIE(again.key(i) == form.key(i) && again.value(i) == form.value(i));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  check_form(bytes);
  const std::string whole = play(data[0], bytes, bytes.size() + 1);
  EXPECT_OR_DIE(play(data[0], bytes, 1) == whole);
  EXPECT_OR_DIE(play(data[0], bytes, 2 + data[1] % 64) == whole);
  return 0;
}
