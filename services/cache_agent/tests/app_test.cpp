#include "larder/cache_agent/app.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/units.h"
#include "tests/agent_under_test.h"

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;
using base::IsOk;
using base::StatusIs;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

std::string Text(object::ObjectReader& reader) {
  std::string text(reader.info().size, '\0');
  EXPECT_THAT(reader.Read(0, std::as_writable_bytes(std::span(text))), IsOk());
  return text;
}

TEST_F(AppTest, ServesObjectsOfEverySizeInTheNamespaceAsked) {
  Agent agent(Defaults());
  ASSERT_THAT(agent.Start(), IsOk());
  auto writer = agent.Connect("team-a");
  EXPECT_EQ(writer->node(), "node-a");
  auto reader = agent.Connect("team-a");
  auto stranger = agent.Connect();
  EXPECT_EQ(stranger->ns(), "default");
  for (const size_t size : {size_t{0}, size_t{10}, size_t{100} << 10, size_t{5} << 20}) {
    const std::string key = "size/" + std::to_string(size);
    const std::string text(size, 'x');
    ASSERT_THAT(Put(*writer, key, text), IsOk());
    LARDER_ASSERT_OK_AND_ASSIGN(auto object, reader->Get(key));
    EXPECT_EQ(Text(*object), text);
    EXPECT_THAT(stranger->Get(key), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  }
}

TEST_F(AppTest, AnAgentAloneIsReadyUntilItStops) {
  Agent agent(Defaults());
  EXPECT_FALSE(agent.ready());
  ASSERT_THAT(agent.Start(), IsOk());
  EXPECT_TRUE(agent.ready());
  agent.Stop();
  EXPECT_FALSE(agent.ready());
}

TEST_F(AppTest, MetricsTellWhatWasDone) {
  Agent agent(Defaults());
  ASSERT_THAT(agent.Start(), IsOk());
  EXPECT_THAT(agent.Metrics(), HasSubstr("larder_agent_pool_bytes{state=\"free\"} 16777216\n"));
  auto client = agent.Connect("team-a");
  ASSERT_THAT(Put(*client, "k", std::string(1000, 'x')), IsOk());
  ASSERT_THAT(Put(*client, "big", std::string(2 << 20, 'x')), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(auto reader, client->Get("big"));
  EXPECT_THAT(client->Get("none"), StatusIs(absl::StatusCode::kNotFound));
  LARDER_ASSERT_OK_AND_ASSIGN(auto writer, client->Create({.key = "half"}));
  const std::string text = agent.Metrics();
  for (const char* line : {
           "larder_agent_requests_total{op=\"create\",code=\"OK\"} 3",
           "larder_agent_requests_total{op=\"seal\",code=\"OK\"} 2",
           "larder_agent_requests_total{op=\"get\",code=\"OK\"} 1",
           "larder_agent_requests_total{op=\"get\",code=\"NOT_FOUND\"} 1",
           "larder_agent_request_duration_seconds_count{op=\"get\",tier=\"hot\"} 1",
           "larder_agent_hits_total{tier=\"hot\"} 1",
           "larder_agent_misses_total 1",
           "larder_lease_active{kind=\"create\"} 1",
           "larder_lease_active{kind=\"read\"} 1",
           "larder_agent_bytes{tier=\"hot\",namespace=\"team-a\"} 2098152",
           "larder_agent_objects{state=\"sealed\"} 2",
           "larder_agent_connections 1",
           "larder_agent_pool_bytes{state=\"quarantined\"} 0",
       }) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
}

TEST_F(AppTest, SocketsAreForAllWhereTheirWordCountsElseForOwnerAndGroup) {
  Config by_cgroup = Defaults("b");
  by_cgroup.identity = Identity::kCgroup;
  by_cgroup.pods_file = dir_ / "pods.yaml";
  std::ofstream(by_cgroup.pods_file) << "pods:\n";
  Agent open(Defaults("a"));
  Agent guarded(by_cgroup);
  ASSERT_THAT(open.Start(), IsOk());
  ASSERT_THAT(guarded.Start(), IsOk());
  for (const char* name : {"data.sock", "control.sock"}) {
    EXPECT_EQ(fs::status(dir_ / "a.run" / name).permissions(), fs::perms{0666}) << name;
    EXPECT_EQ(fs::status(dir_ / "b.run" / name).permissions(), fs::perms{0660}) << name;
  }
}

TEST_F(AppTest, LogsOneLineAnEvent) {
  Agent agent(Defaults());
  ASSERT_THAT(agent.Start(), IsOk());
  EXPECT_THAT(agent.Lines(), Contains(testing::AllOf(HasSubstr("agent serving"), HasSubstr("node=node-a"))));
  EXPECT_THAT(agent.Lines(), Not(Contains(HasSubstr("\n"))));
}

TEST_F(AppTest, AStoreOnDiskIsFoundAgain) {
  {
    Agent agent(OnDisk());
    ASSERT_THAT(agent.Start(), IsOk());
    auto client = agent.Connect();
    ASSERT_THAT(Put(*client, "small", "abc"), IsOk());
    ASSERT_THAT(Put(*client, "big", std::string(3 << 20, 'x')), IsOk());
    ASSERT_THAT(client->SetPinned("small", true), IsOk());
    LARDER_ASSERT_OK_AND_ASSIGN(auto unsealed, client->Create({.key = "half"}));
    agent.Stop();
  }
  Agent agent(OnDisk());
  ASSERT_THAT(agent.Start(), IsOk());
  auto client = agent.Connect();
  LARDER_ASSERT_OK_AND_ASSIGN(auto small, client->Get("small"));
  EXPECT_EQ(Text(*small), "abc");
  EXPECT_TRUE(small->info().pinned);
  LARDER_ASSERT_OK_AND_ASSIGN(auto big, client->Get("big"));
  EXPECT_EQ(Text(*big), std::string(3 << 20, 'x'));
  EXPECT_THAT(client->Get("half"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(agent.Metrics(), HasSubstr("larder_agent_bytes{tier=\"warm\",namespace=\"default\"} 3145731\n"));
}

TEST_F(AppTest, DiskSpaceIsBounded) {
  Config config = OnDisk();
  config.disk_max_bytes = base::kMiB;
  Agent agent(config);
  ASSERT_THAT(agent.Start(), IsOk());
  EXPECT_THAT(Put(*agent.Connect(), "big", std::string(2 << 20, 'x')),
              StatusIs(absl::StatusCode::kResourceExhausted, "DISK_FULL"));
}

TEST_F(AppTest, ASecondAgentIsRefusedEitherDirectory) {
  Agent first(OnDisk());
  ASSERT_THAT(first.Start(), IsOk());
  Config same_sockets = Defaults();
  same_sockets.data_dir = dir_ / "other.data";
  Agent second(same_sockets);
  const absl::Status refused = second.Start();
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kAlreadyExists, "LOCKED"));
  EXPECT_THAT(base::Message(refused), HasSubstr(same_sockets.socket_dir));
  Config same_data = OnDisk();
  same_data.socket_dir = dir_ / "other.run";
  Agent third(same_data);
  const absl::Status also = third.Start();
  EXPECT_THAT(also, StatusIs(absl::StatusCode::kAlreadyExists, "LOCKED"));
  EXPECT_THAT(base::Message(also), HasSubstr(same_data.data_dir));
  EXPECT_THAT(Put(*first.Connect(), "k", "abc"), IsOk());
}

TEST_F(AppTest, TwoLiveInOneProcessAndStopInEitherOrder) {
  for (const bool first_goes_first : {true, false}) {
    Agent a(Defaults("a"));
    Agent b(Defaults("b"));
    ASSERT_THAT(a.Start(), IsOk());
    ASSERT_THAT(b.Start(), IsOk());
    ASSERT_THAT(Put(*a.Connect(), "k", "of a"), IsOk());
    EXPECT_THAT(b.Connect()->Get("k"), StatusIs(absl::StatusCode::kNotFound));
    Agent& gone = first_goes_first ? a : b;
    Agent& stays = first_goes_first ? b : a;
    gone.Stop();
    ASSERT_THAT(Put(*stays.Connect(), "k2", "still"), IsOk());
    stays.Stop();
    EXPECT_FALSE(fs::exists(dir_ / "a.run" / "data.sock"));
    EXPECT_FALSE(fs::exists(dir_ / "b.run" / "control.sock"));
  }
}

TEST_F(AppTest, StopEndsClientsWhoWait) {
  Agent agent(Defaults());
  ASSERT_THAT(agent.Start(), IsOk());
  auto first = agent.Connect();
  auto second = agent.Connect();
  LARDER_ASSERT_OK_AND_ASSIGN(auto writer, first->Create({.key = "k"}));
  absl::Status waited;
  std::thread waiting([&] {
    auto created = second->Create({.key = "k"});  // may be granted when the first is cut off
    waited = created.ok() ? (*created)->Seal({}).status() : created.status();
  });
  agent.Stop();
  waiting.join();
  EXPECT_THAT(waited, StatusIs(absl::StatusCode::kUnavailable));
  agent.Stop();
}

}  // namespace
}  // namespace larder::cache_agent
