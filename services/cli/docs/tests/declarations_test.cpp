#include "larder/cli_dev/declarations.h"

#include <gmock/gmock.h>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"

namespace larder::cli_dev {
namespace {

using ::testing::Contains;
using ::testing::Field;

TEST(DeclarationsOfAll, HasWhatARunningServiceDeclares) {
  const base::TempDir dir;
  const auto all = DeclarationsOfAll(dir.path().string());
  ASSERT_THAT(all, base::IsOk());
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ(all->at(1).service, "tracker");
  EXPECT_THAT(all->at(1).metrics, Contains(Field(&observe::Declaration::name, "larder_raft_is_leader")));
  EXPECT_EQ(all->back().service, "peer_manager");
  EXPECT_THAT(all->back().metrics, Contains(Field(&observe::Declaration::name, "larder_peers_nodes")));
  EXPECT_EQ(all->front().service, "cache_agent");
  // Its own, of what it starts, and of every process.
  EXPECT_THAT(all->front().settings, Contains(Field(&config::Setting::path, "arena")));
  EXPECT_THAT(all->front().settings, Contains(Field(&config::Setting::path, "log.level")));
  EXPECT_THAT(all->front().metrics, Contains(Field(&observe::Declaration::name, "larder_agent_requests_total")));
  EXPECT_THAT(all->front().metrics, Contains(Field(&observe::Declaration::name, "larder_build_info")));
}

TEST(DeclarationsOfAll, TellsWhichServiceCannotStart) {
  const auto all = DeclarationsOfAll("/proc/nowhere");
  EXPECT_FALSE(all.ok());
  EXPECT_THAT(std::string(all.status().message()), ::testing::StartsWith("cache_agent: "));
}

}  // namespace
}  // namespace larder::cli_dev
