#include "tests/faults/fault_test.h"

#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "larder/base/units.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;

constexpr uint64_t kBusySize = 2 * 1024 * 1024;

}  // namespace

int NumberFromEnv(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

void FaultTest::Start(std::vector<std::string> flags, std::vector<std::string> wrapper) {
  agent_ = std::make_unique<AgentProcess>(dir_.path(), std::move(flags), std::move(wrapper));
  creator_ = Connect();
  for (const auto& [key, size] : {std::pair(kKeptKey, kKeptSize), std::pair(kSmallKey, kSmallSize)}) {
    ASSERT_THAT(creator_->Put({.key = key}, base::AsBytes(Pattern(key, size))), IsOk());
  }
  auto writer = creator_->Create({.key = kBusyKey, .size_hint = kBusySize});
  ASSERT_THAT(writer, IsOk());
  busy_ = *std::move(writer);
  ASSERT_THAT(busy_->Write(base::AsBytes(Pattern(kBusyKey, kBusySize)).first(kBusySize / 2)), IsOk());
}

void FaultTest::Restart(std::vector<std::string> flags) {
  EndCreator();
  agent_.reset();
  agent_ = std::make_unique<AgentProcess>(dir_.path(), std::move(flags));
}

void FaultTest::EndCreator() {
  busy_.reset();
  creator_.reset();
}

std::unique_ptr<client::Client> FaultTest::Connect(client::Options options) const {
  auto connected = client::Client::Connect(agent_->endpoint(), std::move(options));
  if (!connected.ok()) throw std::runtime_error(connected.status().ToString());  // a failure of this test, not of all
  return *std::move(connected);
}

RawClient FaultTest::Raw(const std::string& ns) const {
  auto client = RawClient::Greeted(agent_->socket_dir(), ns);
  EXPECT_THAT(client, IsOk());
  return *std::move(client);
}

BusyClient FaultTest::Busy(Doing doing, const std::string& key) const {
  auto busy = BusyClient::Begin(agent_->socket_dir(), doing, key);
  EXPECT_THAT(busy, IsOk());
  return *std::move(busy);
}

ChildProcess FaultTest::Faulty() const {
  return ChildProcess({LARDER_FAULTY_CLIENT, agent_->socket_dir()}, ChildProcess::Output::kStdout);
}

void FaultTest::DeleteAll(const std::string& prefix, const std::string& ns) const {
  auto client = Connect({.ns = ns});
  bool more = true;
  while (more) {
    LARDER_ASSERT_OK_AND_ASSIGN(const object::ListPage page, client->List({.prefix = prefix}));
    for (const object::ObjectInfo& info : page.objects) EXPECT_THAT(client->Delete(info.id.key), IsOk());
    more = page.more;
  }
}

FaultTest::Holdings FaultTest::Look() const {
  const std::string metrics = agent_->Scrape();
  return {.connections = MetricIn(metrics, "larder_agent_connections"),
          .creating = MetricIn(metrics, "larder_lease_active{kind=\"create\"}"),
          .reading = MetricIn(metrics, "larder_lease_active{kind=\"read\"}"),
          .quarantined = MetricIn(metrics, "larder_agent_pool_bytes{state=\"quarantined\"}"),
          .live = MetricIn(metrics, "larder_agent_pool_bytes{state=\"live\"}"),
          .sealed = MetricIn(metrics, "larder_agent_objects{state=\"sealed\"}"),
          .kernels = agent_->Measure()};
}

// Slabs that a namespace is filling may be others than before, and hold what is kept apart: at most four of 4 MiB.
constexpr uint64_t kBeingFilled = 4 * 4 * base::kMiB;

void FaultTest::ExpectNothingLeaked(const Holdings& before) const {
  Holdings now;
  // Memory that is being zeroed counts as live, and the admin port may still be closing a connection of ours.
  EXPECT_TRUE(Eventually([&] {
    now = Look();
    return now.connections == before.connections && now.creating == before.creating && now.reading == before.reading &&
           now.quarantined <= before.quarantined && now.live <= before.live + kBeingFilled &&
           now.kernels.fds <= before.kernels.fds;
  })) << fmt::format("connections {} {}, creating {} {}, reading {} {}, quarantined {} {}, live {} {}, fds {} {}",
                     before.connections, now.connections, before.creating, now.creating, before.reading, now.reading,
                     before.quarantined, now.quarantined, before.live, now.live, before.kernels.fds, now.kernels.fds);
  EXPECT_EQ(now.sealed, before.sealed);
  EXPECT_LE(now.kernels.maps, before.kernels.maps + agent_->MoreMaps());
  EXPECT_LE(now.kernels.anon, before.kernels.anon + agent_->Slack());
  EXPECT_LE(now.kernels.rss, before.kernels.rss + agent_->Slack());
}

void FaultTest::ExpectServes() const {
  auto client = Connect({.timeout = std::chrono::seconds(10)});
  for (const auto& [key, size] : {std::pair(kKeptKey, kKeptSize), std::pair(kSmallKey, kSmallSize)}) {
    LARDER_ASSERT_OK_AND_ASSIGN(const auto reader, client->Get(key));
    std::string found(size, '\0');
    ASSERT_THAT(reader->Read(0, std::as_writable_bytes(std::span(found))), IsOk());
    EXPECT_TRUE(found == Pattern(key, size)) << key;
  }
  ASSERT_THAT(client->Put({.key = "served", .overwrite = true}, base::AsBytes("served")), IsOk());
  EXPECT_THAT(client->Delete("served"), IsOk());
}

void FaultTest::ExpectCreatorUntouched() {
  const std::string content = Pattern(kBusyKey, kBusySize);
  ASSERT_THAT(busy_->Write(base::AsBytes(content).subspan(kBusySize / 2)), IsOk());
  ASSERT_THAT(busy_->Seal(base::Crc32cDigest(base::Crc32c(base::AsBytes(content)))), IsOk());
  busy_.reset();
  EXPECT_THAT(creator_->Delete(kBusyKey), IsOk());
}

void FaultTest::ExpectCreatorLost() {
  const std::string rest = Pattern(kBusyKey, kBusySize / 2);
  absl::Status lost = busy_->Write(base::AsBytes(rest));
  if (lost.ok()) lost = busy_->Seal(base::Digest()).status();
  EXPECT_THAT(lost, base::StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
}

void ExpectArenaBalances(const AgentProcess& agent, double arena) {
  const std::string metrics = agent.Scrape();
  double sum = 0;
  for (const char* state : {"free", "live", "quarantined"}) {
    sum += MetricIn(metrics, fmt::format("larder_agent_pool_bytes{{state=\"{}\"}}", state));
  }
  EXPECT_EQ(sum, arena);
}

}  // namespace larder::cache_agent
