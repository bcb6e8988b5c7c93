// SPDX-License-Identifier: GPL-3.0-or-later
// [guessing] of postern-auth.toml: how many wrong passwords are too many.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/endpoint.h"
#include "base/secret.h"

namespace postern::helper {

class TableReader;

// More distinct wrong passwords than this are not told apart: it bounds the memory of one counter.
inline constexpr uint32_t block_after_max = 255;
// A user's networks that are remembered: home, office, telephone, and what a traveller sees in a week.
inline constexpr uint32_t known_nets_max = 16;

struct GuessingOptions {
  // Distinct wrong passwords within `window` that begin a block; 0: none ever does.
  uint32_t block_after = 10;       // of one user from one network: nobody forgets his password in ten ways
  uint32_t block_after_user = 30;  // of one user from everywhere: a botnet
  uint32_t block_after_net = 30;   // of all users from one network
  Duration window = std::chrono::hours(1);
  Duration block_for = std::chrono::minutes(15);

  // A refusal waits so long after the first wrong password, twice as long after the second ...
  Duration delay_first = std::chrono::seconds(1);
  Duration delay_max = std::chrono::seconds(15);  // well within the gate's limit for a login

  // Never delayed, blocked or counted. By default the machine itself: what comes from there is a webmail or a check,
  // and one address stands for everybody.
  std::vector<Network> allow_nets = {*Network::parse("127.0.0.0/8"), *Network::parse("::1/128")};
  Duration known_for = std::chrono::hours(30 * 24);  // a network where the user got in is his for so long
  uint32_t entries_max = 100000;  // counters, and users whose networks are known; about 200 bytes each
  Secret digest_key;              // shared with other machines; empty: random at each start

  std::string shared;  // "unix:/run/redis/redis.sock" or "127.0.0.1:6379"; empty: this process counts alone
  Secret shared_password;
  Duration shared_timeout{100};  // a login never waits longer for the store

  std::string policy_url;  // empty: nobody else is asked
  Duration policy_timeout{500};
  Secret policy_password;
};

// Takes the table's settings; what is wrong becomes the reader's problems.
GuessingOptions read_guessing(TableReader& reader);

}  // namespace postern::helper
