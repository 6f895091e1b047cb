#include "larder/cache_agent/config.h"

#include <gmock/gmock.h>

#include "larder/base/testing/status_matchers.h"
#include "larder/config/loader.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::StatusIs;
using testing::HasSubstr;

absl::StatusOr<Config> LoadFlags(std::map<std::string, std::string> flags) {
  config::Loader<Config> loader({.env_prefix = config::ServiceEnvPrefix("cache_agent")});
  std::vector<std::string> argv = {"larder-agent"};
  for (const auto& [name, value] : flags) argv.push_back("--" + name + "=" + value);
  std::vector<const char*> raw;
  for (const std::string& arg : argv) raw.push_back(arg.c_str());
  auto outcome = loader.LoadArguments({.name = "larder-agent", .summary = "", .version = ""},
                                      static_cast<int>(raw.size()), raw.data(), {});
  if (!outcome.ok()) return outcome.status();
  return loader.config();
}

TEST(Config, DefaultsSuitANodeWithoutADisk) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Config config, LoadFlags({}));
  EXPECT_EQ(config.socket_dir, "/run/larder");
  EXPECT_EQ(config.arena, base::kGiB);
  EXPECT_EQ(config.store, "memory");
  EXPECT_EQ(config.lease_ttl, std::chrono::seconds(30));
}

TEST(Config, PeerManagersNeedATrackerWhoseRegistrationTheyAreToldOf) {
  EXPECT_THAT(LoadFlags({{"peer-manager", "m:7420"}}), StatusIs(absl::StatusCode::kInvalidArgument, "MISSING_SETTING"));
  EXPECT_THAT(LoadFlags({{"tracker", "t:7410"}, {"peer-manager", "m"}}), StatusIs(absl::StatusCode::kInvalidArgument));
  LARDER_ASSERT_OK_AND_ASSIGN(const Config config,
                              LoadFlags({{"tracker", "t:7410"}, {"peer-manager", "m:7420,n:7420"}}));
  EXPECT_THAT(ParseAddresses(config.peer_manager).value(), testing::ElementsAre("m:7420", "n:7420"));
}

TEST(Config, EverySettingIsTaken) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Config config, LoadFlags({{"node-name", "n1"},
                                                              {"socket-dir", "/s"},
                                                              {"data-dir", "/d"},
                                                              {"identity", "cgroup"},
                                                              {"pods-file", "/p"},
                                                              {"arena", "16MiB"},
                                                              {"store", "file"},
                                                              {"disk-max-bytes", "1GiB"},
                                                              {"lease-ttl", "5s"},
                                                              {"executor-threads", "2"}}));
  EXPECT_EQ(config.node_name, "n1");
  EXPECT_EQ(config.socket_dir, "/s");
  EXPECT_EQ(config.data_dir, "/d");
  EXPECT_EQ(config.identity, Identity::kCgroup);
  EXPECT_EQ(config.pods_file, "/p");
  EXPECT_EQ(config.arena, 16 * base::kMiB);
  EXPECT_EQ(config.store, "file");
  EXPECT_EQ(config.disk_max_bytes, base::kGiB);
  EXPECT_EQ(config.lease_ttl, std::chrono::seconds(5));
  EXPECT_EQ(config.executor_threads, 2);
}

TEST(Config, WhatCannotWorkIsRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"arena", "8MiB"},          {"lease-ttl", "10ms"}, {"lease-ttl", "2h"},
      {"executor-threads", "0"},  {"identity", "none"},  {"socket-dir", "here"},
      {"data-dir", "var/larder"}, {"store", "flie"},     {"pods-file", "pods"},
  };
  for (const auto& [name, value] : bad) {
    const absl::Status refused = LoadFlags({{name, value}}).status();
    EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(base::Message(refused), HasSubstr(name)) << name;
  }
  const absl::Status without_pods = LoadFlags({{"identity", "cgroup"}}).status();
  EXPECT_THAT(without_pods, StatusIs(absl::StatusCode::kInvalidArgument, "MISSING_SETTING"));
  EXPECT_THAT(base::Message(without_pods), HasSubstr("pods_file"));
  EXPECT_THAT(base::Message(LoadFlags({{"store", "flie"}}).status()), HasSubstr("did you mean 'file'"));
}

}  // namespace
}  // namespace larder::cache_agent
