// SPDX-License-Identifier: GPL-3.0-or-later
// What N sessions need, on machines that have it and that do not.
#include "daemon/plan.h"

#include <gtest/gtest.h>

namespace postern::daemon {
namespace {

config::Config config_with(uint32_t members, session::Balance balance = session::Balance::LeastSessions) {
  config::Config config;
  session::PoolOptions pool;
  pool.balance = balance;
  for (uint32_t i = 0; i < members; i++) {
    session::MemberOptions member;
    member.host = "mail" + std::to_string(i);
    member.port = 143;
    pool.members.push_back(member);
  }
  config.session.pools.push_back(pool);
  return config;
}

Machine ample() {
  Machine machine;
  machine.cores = 2;
  machine.memory_bytes = 8'000'000'000;
  machine.descriptors = machine.nr_open = 1u << 20;
  machine.somaxconn = 4096;
  machine.ports = 28232;
  return machine;
}

const Need* need(const Plan& plan, std::string_view name) {
  for (const Need& need : plan.needs)
    if (need.name == name) return &need;
  return nullptr;
}

bool suffices(const Plan& plan, std::string_view name) {
  const Need* found = need(plan, name);
  EXPECT_NE(found, nullptr) << name;
  return found != nullptr && found->suffices();
}

TEST(Plan, SumsMemoryAndLogins) {
  const Plan result = plan(config_with(1), 10000, ample());
  EXPECT_EQ(result.gate_bytes, 38'200'000u);
  EXPECT_EQ(result.kernel_bytes, 97'000'000u);
  EXPECT_EQ(result.reactors, 2u);
  EXPECT_EQ(result.logins_full, 5000u);
  EXPECT_TRUE(result.fits()) << plan_text(result);
}

TEST(Plan, MoreReactorsThanCoresLogInNoFaster) {
  config::Config config = config_with(1);
  config.reactor.reactors = 8;
  EXPECT_EQ(plan(config, 1, ample()).logins_full, 5000u);
  config.reactor.reactors = 1;
  EXPECT_EQ(plan(config, 1, ample()).logins_full, 2500u);
}

TEST(Plan, AMailServerHasAsManySessionsAsThereArePorts) {
  const char* name = "ports for each mail server";
  EXPECT_TRUE(suffices(plan(config_with(1), 28232, ample()), name));
  EXPECT_FALSE(suffices(plan(config_with(1), 28233, ample()), name));
  EXPECT_TRUE(suffices(plan(config_with(2), 28233, ample()), name));
  EXPECT_FALSE(suffices(plan(config_with(2, session::Balance::Order), 28233, ample()), name));
  EXPECT_EQ(need(plan(config_with(0), 28233, ample()), name), nullptr);
}

TEST(Plan, DescriptorsAreTwoASession) {
  Machine machine = ample();
  machine.descriptors = 2128;
  EXPECT_TRUE(suffices(plan(config_with(1), 1000, machine), "LimitNOFILE"));
  EXPECT_FALSE(suffices(plan(config_with(1), 1001, machine), "LimitNOFILE"));
  machine.nr_open = 2128;
  EXPECT_FALSE(suffices(plan(config_with(1), 1001, machine), "fs.nr_open"));
  // However many are allowed, a reactor holds half a million sessions.
  EXPECT_TRUE(suffices(plan(config_with(1), 1u << 20, ample()), "sessions that all reactors hold"));
  EXPECT_FALSE(suffices(plan(config_with(1), (1u << 20) + 1, ample()), "sessions that all reactors hold"));
}

TEST(Plan, LimitsOfTheConfigurationCount) {
  config::Config config = config_with(1);
  config.session.limits.sessions = 999;
  config.session.limits.memory = 7'000'000;
  const Plan result = plan(config, 1000, ample());
  EXPECT_FALSE(suffices(result, "limits.sessions"));
  EXPECT_FALSE(suffices(result, "limits.memory, bytes"));
  EXPECT_EQ(need(plan(config_with(1), 1000, ample()), "limits.memory, bytes"), nullptr);
}

TEST(Plan, SaysWhatIsTooLittleWithTheRemedy) {
  Machine machine = ample();
  machine.somaxconn = 128;
  machine.conntrack_max = 1999;
  machine.memory_bytes = 17'000'000;
  const std::string text = plan_text(plan(config_with(1), 1000, machine));
  EXPECT_NE(text.find("sysctl -w net.core.somaxconn=4096"), std::string::npos) << text;
  EXPECT_NE(text.find("sysctl -w net.netfilter.nf_conntrack_max=2000"), std::string::npos) << text;
  EXPECT_NE(text.find("add memory"), std::string::npos) << text;
  EXPECT_NE(text.find("does not fit"), std::string::npos) << text;
}

TEST(Plan, WhatIsNotKnownIsNoFault) {
  const Plan result = plan(config_with(1), 1000, Machine());
  EXPECT_TRUE(result.fits());
  EXPECT_NE(plan_text(result).find("not known"), std::string::npos);
}

}  // namespace
}  // namespace postern::daemon
