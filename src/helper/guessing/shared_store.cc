// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/guessing/shared_store.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/endpoint.h"
#include "helper/socket_wait.h"

namespace postern::helper {
namespace {

using Clock = std::chrono::steady_clock;

// A longer name is nobody's, and one key for all of them is enough.
constexpr size_t user_size_max = 512;

// KEYS: for each counter its digests and its block; the user's networks.
// ARGV: the step, the digest, the network, window, block_for and known_for in ms, known_nets_max, the limits.
// It returns for each counter how many and for how long blocked; known; repeated; which counter began to block.
constexpr std::string_view script = R"lua(
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local step, digest, network = ARGV[1], ARGV[2], ARGV[3]
local window, block_for, known_for = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if step == 'succeed' and network ~= '' then
  redis.call('DEL', KEYS[5], KEYS[6])
  if known_for > 0 then
    redis.call('ZADD', KEYS[7], now, network)
    redis.call('ZREMRANGEBYRANK', KEYS[7], 0, -1 - ARGV[7])
    redis.call('PEXPIRE', KEYS[7], known_for)
  end
end
local seen = redis.call('ZSCORE', KEYS[7], network)
local known = seen and now < seen + known_for
local reply, repeated, begun = {}, 1, 0
for i = 1, 3 do
  local key, block, limit = KEYS[2 * i - 1], KEYS[2 * i], tonumber(ARGV[7 + i])
  local left, distinct = 0, 0
  if i == 2 or network ~= '' then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
    left = math.max(0, redis.call('PTTL', block))
    if step == 'count' and left == 0 and not (known and i == 2) then
      if redis.call('ZADD', key, now, digest) > 0 then repeated = 0 end
      redis.call('PEXPIRE', key, window)
      if limit > 0 and redis.call('ZCARD', key) >= limit then
        redis.call('DEL', key)
        redis.call('SET', block, 1, 'PX', block_for)
        left, begun = block_for, i
      end
      redis.call('ZREMRANGEBYRANK', key, 0, -256)
    end
    distinct = redis.call('ZCARD', key)
  end
  reply[2 * i - 1] = distinct
  reply[2 * i] = left
end
reply[7] = known and 1 or 0
reply[8] = repeated
reply[9] = begun
return reply
)lua";
constexpr size_t reply_size = 9;

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};

std::vector<std::string> keys_of(const Subject& subject) {
  const std::string head = "postern:guess:";
  const std::string user(subject.user.substr(0, user_size_max));
  const std::string network = subject.network ? subject.network->text() : "";
  const std::string counters[] = {head + "network:" + network, head + "user:" + user,
                                  head + "user_at_network:" + network + " " + user};
  std::vector<std::string> keys;
  for (const std::string& counter : counters) {
    keys.push_back(counter);
    keys.push_back(counter + ":block");
  }
  keys.push_back(head + "known:" + user);
  return keys;
}

std::optional<Counts> counts_of(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != reply_size) return std::nullopt;
  std::array<int64_t, reply_size> numbers{};
  for (size_t i = 0; i < reply_size; ++i) {
    if (reply.element[i]->type != REDIS_REPLY_INTEGER || reply.element[i]->integer < 0) return std::nullopt;
    numbers[i] = reply.element[i]->integer;
  }
  Counts counts;
  for (size_t i = 0; i < own_counters.size(); ++i) {
    counts.all[i] = {static_cast<uint32_t>(std::min<int64_t>(numbers[2 * i], block_after_max)),
                     Duration(numbers[2 * i + 1])};
  }
  counts.known = numbers[6] != 0;
  counts.repeated = numbers[7] != 0;
  if (numbers[8] > 0 && numbers[8] <= int64_t{own_counters.size()}) {
    counts.begun = own_counters[static_cast<size_t>(numbers[8] - 1)];
  }
  return counts;
}

}  // namespace

// hiredis' own time-outs are for one read or write each, and what it queues it does not wipe: so the waiting and the
// sending are done here, and hiredis writes commands, connects and understands answers.
class SharedStore::Connection {
 public:
  static std::unique_ptr<Connection> open(const std::string& place) {
    redisContext* context = nullptr;
    if (place.starts_with("unix:")) {
      context = redisConnectUnixNonBlock(place.c_str() + 5);
    } else if (const std::optional<Endpoint> endpoint = Endpoint::parse(place)) {
      context = redisConnectNonBlock(endpoint->address_text().c_str(), endpoint->port);
    }
    if (context == nullptr) return nullptr;
    return std::unique_ptr<Connection>(new Connection(context));
  }

  // Null: see `fault`.
  Reply ask(const Words& words, Instant deadline, std::string& fault) {
    if (context_->err != 0) return failed(context_->errstr, fault);
    std::vector<const char*> texts;
    std::vector<size_t> sizes;
    for (const std::string& word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    char* command = nullptr;
    const int size = redisFormatCommandArgv(&command, static_cast<int>(words.size()), texts.data(), sizes.data());
    if (size < 0) return failed("no memory", fault);
    const bool sent = send_all({command, static_cast<size_t>(size)}, deadline, fault);
    wipe(command, static_cast<size_t>(size));
    redisFreeCommand(command);
    return sent ? receive(deadline, fault) : nullptr;
  }

  bool used = false;  // it has answered before, and may have been closed meanwhile

 private:
  explicit Connection(redisContext* context) : context_(context) {}

  static Reply failed(const char* why, std::string& fault) {
    fault = why;
    return nullptr;
  }

  bool wait(short events, Instant deadline, std::string& fault) {
    if (wait_for(context_->fd, events, deadline)) return true;
    fault = "it did not answer in time";
    return false;
  }

  bool send_all(std::string_view bytes, Instant deadline, std::string& fault) {
    while (!bytes.empty()) {
      if (!wait(POLLOUT, deadline, fault)) return false;
      const ssize_t sent = send(context_->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        fault = strerror(errno);
        return false;
      }
      if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  Reply receive(Instant deadline, std::string& fault) {
    while (true) {
      void* reply = nullptr;
      if (redisGetReplyFromReader(context_.get(), &reply) != REDIS_OK) return failed(context_->errstr, fault);
      if (reply != nullptr) return Reply(static_cast<redisReply*>(reply));
      if (!wait(POLLIN, deadline, fault)) return nullptr;
      if (redisBufferRead(context_.get()) != REDIS_OK) return failed(context_->errstr, fault);
    }
  }

  const std::unique_ptr<redisContext, FreeContext> context_;
};

SharedStore::SharedStore(const GuessingOptions& options, const LogSink& log) : options_(options), log_(log) {}

SharedStore::~SharedStore() = default;

std::optional<Counts> SharedStore::run(const char* step, const Subject& subject, uint64_t digest, Instant now) {
  if (!absence_.worth_asking(now)) return std::nullopt;
  const std::vector<std::string> keys = keys_of(subject);
  Words words = {"EVAL", std::string(script), std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), {step, short_digest(digest), subject.network ? subject.network->text() : "",
                             std::to_string(options_.window.count()), std::to_string(options_.block_for.count()),
                             std::to_string(options_.known_for.count()), std::to_string(known_nets_max)});
  for (const Counter counter : own_counters)
    words.push_back(std::to_string(limit_of(counter, options_)));
  std::string fault;
  std::optional<Counts> counts = ask(words, fault);
  if (!counts) {
    if (const std::optional<uint64_t> failures = absence_.away(now)) {
      log_(LogLine(Severity::Warning, "shared")
               .add("store", options_.shared)
               .add("failures", *failures)
               .say(fault + ". Guesses are counted by this machine alone meanwhile."));
    }
  } else if (const std::optional<uint64_t> missed = absence_.there()) {
    log_(LogLine(Severity::Notice, "shared").add("store", options_.shared).add("missed", *missed).say("Back again."));
  }
  return counts;
}

std::optional<Counts> SharedStore::ask(const Words& words, std::string& fault) {
  const Instant deadline = Clock::now() + options_.shared_timeout;
  while (true) {
    std::unique_ptr<Connection> connection = idle_.take();
    if (connection == nullptr) connection = Connection::open(options_.shared);
    if (connection == nullptr) {
      fault = "no memory for a connection";
      return std::nullopt;
    }
    const bool used = connection->used;
    if (!used && !options_.shared_password.empty()) {
      Words auth = {"AUTH", std::string(options_.shared_password.reveal())};
      const Reply reply = connection->ask(auth, deadline, fault);
      wipe(auth[1]);
      if (reply == nullptr) return std::nullopt;
      if (reply->type != REDIS_REPLY_STATUS) {
        // Its own words might repeat the password.
        fault = "it does not take the password of shared_password_file";
        return std::nullopt;
      }
    }
    const Reply reply = connection->ask(words, deadline, fault);
    // The server was started anew meanwhile: those before it are dead, and the next one may live.
    if (reply == nullptr && used && Clock::now() < deadline) continue;
    if (reply == nullptr) return std::nullopt;
    std::optional<Counts> counts = counts_of(*reply);
    if (counts) {
      connection->used = true;
      idle_.give_back(std::move(connection));
    } else {
      fault = reply->type == REDIS_REPLY_ERROR ? std::string(reply->str, std::min<size_t>(reply->len, 200))
                                               : "it gave an answer that is none";
    }
    return counts;
  }
}

}  // namespace postern::helper
