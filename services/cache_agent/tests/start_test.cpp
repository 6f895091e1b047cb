#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <ostream>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/cache_agent/app.h"
#include "tests/agent_under_test.h"

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;
using base::IsOk;
using base::StatusIs;
using testing::HasSubstr;
using testing::Not;

struct Obstacle {
  std::string name;
  // Puts it in the way; what is returned is held meanwhile.
  std::function<base::UniqueFd(Config&, const base::TempDir&)> put;
  absl::StatusCode code;
  std::string reason;
};

void PrintTo(const Obstacle& obstacle, std::ostream* out) { *out << obstacle.name; }

// An obstacle without anything to hold.
template <typename Put>
auto Plain(Put put) {
  return [put](Config& config, const base::TempDir& dir) {
    put(config, dir);
    return base::UniqueFd();
  };
}

class FailedStart : public AppTest, public testing::WithParamInterface<Obstacle> {};

TEST_P(FailedStart, LeavesNothingAndCanBeTriedAgain) {
  Config config = OnDisk();
  fs::create_directories(config.socket_dir);
  fs::create_directories(config.data_dir);
  base::UniqueFd held = GetParam().put(config, dir_);
  {
    Agent agent(config);
    EXPECT_THAT(agent.Start(), StatusIs(GetParam().code, GetParam().reason));
    agent.Destroy();
    EXPECT_THAT(agent.Metrics(), Not(HasSubstr("larder_lease_active{")));
    for (const char* name : {"data.sock", "control.sock"}) {
      EXPECT_FALSE(fs::is_socket(fs::path(config.socket_dir) / name)) << name;
    }
  }
  held.Reset();
  fs::remove_all(config.socket_dir);
  fs::remove_all(config.data_dir);
  Agent again(OnDisk());
  EXPECT_THAT(again.Start(), IsOk());
}

INSTANTIATE_TEST_SUITE_P(
    EachStep, FailedStart,
    testing::Values(Obstacle{"TheArenaIsLargerThanTheMachine",
                             Plain([](Config& c, auto&) { c.arena = uint64_t{1} << 50; }),
                             absl::StatusCode::kResourceExhausted, "ARENA_OVER_LIMIT"},
                    Obstacle{"TheSocketDirectoryIsAFile", Plain([](Config& c, auto&) {
                               fs::remove(c.socket_dir);
                               std::ofstream(c.socket_dir) << "x";
                             }),
                             absl::StatusCode::kInternal, "ENOTDIR"},
                    Obstacle{"TheSocketDirectoryIsLocked",
                             [](Config& c, auto&) { return *base::LockFile(c.socket_dir + "/agent.lock"); },
                             absl::StatusCode::kAlreadyExists, "LOCKED"},
                    Obstacle{"NobodySaysWhichPodsThereAre",
                             Plain([](Config& c, auto&) { c.identity = Identity::kCgroup; }),
                             absl::StatusCode::kInvalidArgument, "MISSING_SETTING"},
                    Obstacle{"ThePodsFileIsBroken", Plain([](Config& c, auto& dir) {
                               c.identity = Identity::kCgroup;
                               c.pods_file = dir / "pods.yaml";
                               std::ofstream(c.pods_file) << "pods: [";
                             }),
                             absl::StatusCode::kInvalidArgument, "BAD_YAML"},
                    Obstacle{"NoSuchStore", Plain([](Config& c, auto&) { c.store = "tape"; }),
                             absl::StatusCode::kInvalidArgument, "UNKNOWN_SCHEME"},
                    Obstacle{"AStoreOnDiskWithoutDirectory", Plain([](Config& c, auto&) { c.data_dir = ""; }),
                             absl::StatusCode::kInvalidArgument, "BAD_URI"},
                    Obstacle{"TheDataDirectoryIsLocked",
                             [](Config& c, auto&) {
                               fs::create_directories(c.data_dir + "/objects");
                               return *base::LockFile(c.data_dir + "/objects/lock");
                             },
                             absl::StatusCode::kAlreadyExists, "LOCKED"},
                    Obstacle{"TheDataIsOfAnotherVersion", Plain([](Config& c, auto&) {
                               fs::create_directories(c.data_dir + "/objects");
                               std::ofstream(c.data_dir + "/objects/format") << "of tomorrow";
                             }),
                             absl::StatusCode::kFailedPrecondition, "FORMAT"},
                    Obstacle{"TheDataSocketIsADirectory",
                             Plain([](Config& c, auto&) { fs::create_directories(c.socket_dir + "/data.sock/x"); }),
                             absl::StatusCode::kInternal, "EISDIR"},
                    Obstacle{"TheControlSocketIsADirectory",
                             Plain([](Config& c, auto&) { fs::create_directories(c.socket_dir + "/control.sock/x"); }),
                             absl::StatusCode::kFailedPrecondition, "CANNOT_LISTEN"},
                    Obstacle{"TheSocketPathIsTooLong",
                             Plain([](Config& c, auto& dir) { c.socket_dir = dir / std::string(100, 'x'); }),
                             absl::StatusCode::kInvalidArgument, "PATH_TOO_LONG"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace larder::cache_agent
