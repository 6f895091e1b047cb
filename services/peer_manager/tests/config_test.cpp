#include "larder/peer_manager/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>

#include "larder/base/testing/status_matchers.h"
#include "larder/config/loader.h"

namespace larder::peer_manager {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;

absl::StatusOr<Config> Load(std::map<std::string, std::string> flags) {
  config::Loader<Config> loader({.env_prefix = config::ServiceEnvPrefix("peer_manager")});
  const absl::Status loaded = loader.Load({.flags = std::move(flags)});
  if (!loaded.ok()) return loaded;
  return loader.config();
}

TEST(Config, NeedsATrackerAndNoMore) {
  EXPECT_THAT(Load({}), StatusIs(absl::StatusCode::kInvalidArgument, "MISSING_SETTING"));
  LARDER_ASSERT_OK_AND_ASSIGN(const Config config, Load({{"tracker", "a:7410,[::1]:7410"}}));
  EXPECT_THAT(config.trackers, ElementsAre("a:7410", "[::1]:7410"));
  EXPECT_EQ(config.grpc, "0.0.0.0:7420");
  EXPECT_EQ(config.node_session, std::chrono::seconds(10));
  EXPECT_EQ(config.leader_ttl, std::chrono::seconds(5));
}

TEST(Config, EverySettingIsTaken) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Config config, Load({{"tracker", "a:1"},
                                                         {"listen.grpc", "127.0.0.1:0"},
                                                         {"node.session_timeout", "20s"},
                                                         {"leader.ttl", "2s"},
                                                         {"sessions.max", "7"}}));
  EXPECT_EQ(config.grpc, "127.0.0.1:0");
  EXPECT_EQ(config.node_session, std::chrono::seconds(20));
  EXPECT_EQ(config.leader_ttl, std::chrono::seconds(2));
  EXPECT_EQ(config.most_sessions, 7u);
}

TEST(Config, WhatCannotWorkIsRefused) {
  const std::pair<std::string, std::string> bad[] = {{"tracker", "a"},      {"tracker", "a:0"},
                                                     {"tracker", "a:1,"},   {"listen.grpc", "here"},
                                                     {"leader.ttl", "1ms"}, {"node.session_timeout", "1ms"},
                                                     {"sessions.max", "0"}, {"trackers", "a:1"}};
  for (const auto& [key, value] : bad) {
    std::map<std::string, std::string> flags = {{"tracker", "a:1"}};
    flags[key] = value;
    EXPECT_EQ(Load(flags).status().code(), absl::StatusCode::kInvalidArgument) << key << " " << value;
  }
}

}  // namespace
}  // namespace larder::peer_manager
