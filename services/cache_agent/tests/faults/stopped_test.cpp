// Clients, and an agent, that are stopped for longer than leases last, and go on.
#include <fmt/format.h>
#include <signal.h>

#include <chrono>

#include "larder/base/units.h"
#include "tests/faults/fault_test.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::kMiB;
using testing::HasSubstr;
using testing::StartsWith;

constexpr base::Duration kLeaseTtl = std::chrono::seconds(1);

class Stopped : public FaultTest {
 protected:
  void SetUp() override { Start({"--arena=128MiB", "--lease-ttl=1s"}); }
  double Lapsed() { return agent().Metric("larder_lease_reclaimed_total{reason=\"lapsed\"}"); }
};

class StoppedWriter : public Stopped, public testing::WithParamInterface<Doing> {};

TEST_P(StoppedWriter, CanNeitherWriteNorSealAndItsLateBytesReachNobody) {
  ChildProcess stopped = Faulty();
  ASSERT_EQ(stopped.Ask(fmt::format("begin {} k", DoingName(GetParam()))), "OK");
  const double lapsed = Lapsed();
  stopped.Signal(SIGSTOP);
  ASSERT_TRUE(Eventually([&] { return Lapsed() == lapsed + 1; }));

  // Another takes over, and writes through the memory that comes next.
  const std::string theirs = Pattern("theirs", 2 * kMiB);
  auto other = Connect();
  LARDER_ASSERT_OK_AND_ASSIGN(auto writer, other->Create({.key = "k"}));
  LARDER_ASSERT_OK_AND_ASSIGN(const base::MutableByteSpan buffer, writer->Buffer(theirs.size()));
  std::ranges::copy(base::AsBytes(theirs), buffer.begin());
  stopped.Signal(SIGCONT);
  EXPECT_EQ(stopped.Ask("scribble 238"), "OK");
  EXPECT_THAT(stopped.Ask("finish"), StartsWith("ABORTED LEASE_LOST"));
  EXPECT_TRUE(base::AsText(buffer) == theirs) << "the late bytes came into another's window";
  LARDER_ASSERT_OK_AND_ASSIGN(const object::SealResult sealed, writer->Seal(base::Digest()));
  EXPECT_EQ(stopped.Ask("scribble 17"), "OK");

  const std::string late = stopped.Ask("seal");
  EXPECT_THAT(late, StartsWith("ABORTED LEASE_LOST"));
  EXPECT_THAT(late, HasSubstr("'k', epoch "));
  LARDER_ASSERT_OK_AND_ASSIGN(const auto reader, other->Get("k"));
  EXPECT_EQ(reader->info().epoch, sealed.info.epoch);
  ASSERT_TRUE(reader->Bytes());
  EXPECT_TRUE(base::AsText(*reader->Bytes()) == theirs);
  ExpectServes();
  ExpectCreatorUntouched();
}

INSTANTIATE_TEST_SUITE_P(Through, StoppedWriter,
                         testing::Values(Doing::kInlineWrite, Doing::kWindowWrite, Doing::kRingWrite),
                         [](const auto& info) { return std::string(DoingName(info.param)); });

// A forged epoch is told apart from a lost lease.
TEST_F(Stopped, AStaleEpochIsNamed) {
  RawClient raw = Raw();
  LARDER_ASSERT_OK_AND_ASSIGN(Creating creating, raw.Create("k"));
  creating.epoch += 1;
  for (const absl::Status& status : {raw.WriteInline(creating, base::AsBytes("late")), raw.Seal(creating, 0)}) {
    EXPECT_THAT(status, base::StatusIs(absl::StatusCode::kAborted, "EPOCH_STALE"));
  }
}

TEST_F(Stopped, AReadersMappingStaysAsItWasThoughItsMemoryIsWanted) {
  ChildProcess stopped = Faulty();
  ASSERT_EQ(stopped.Ask("begin Reading k"), "OK");
  const std::string crc = stopped.Ask("crc");
  const double lapsed = Lapsed();
  stopped.Signal(SIGSTOP);
  ASSERT_TRUE(Eventually([&] { return Lapsed() == lapsed + 1; }));

  ExpectCreatorUntouched();  // it shares the slab, which is free only after it
  auto other = Connect();
  ASSERT_THAT(other->Delete(kKeptKey), IsOk());
  EXPECT_TRUE(Eventually([&] { return Look().quarantined > 0; }));
  // More than the arena holds, each in the place of the last.
  const std::string bytes = Pattern("wanted", 8 * kMiB);
  for (int i = 0; i < 40; ++i) {
    ASSERT_THAT(other->Put({.key = "wanted", .overwrite = true}, base::AsBytes(bytes)), IsOk());
  }
  // It does not answer when its memory is asked back, and loses the connection, but not what it has mapped.
  EXPECT_TRUE(Eventually([&] { return agent().Metric("larder_agent_denied_total{reason=\"revoked\"}") == 1; }));
  EXPECT_GT(Look().quarantined, 0);
  ASSERT_THAT(other->Put({.key = "wanted", .overwrite = true}, base::AsBytes(bytes)), IsOk());
  stopped.Signal(SIGCONT);
  EXPECT_EQ(stopped.Ask("crc"), crc);
  EXPECT_THAT(stopped.Ask("finish"), StartsWith("UNAVAILABLE CONNECTION_LOST"));
  stopped.Signal(SIGKILL);
  EXPECT_EQ(stopped.Wait(), -SIGKILL);
  EXPECT_TRUE(Eventually([&] { return Look().quarantined == 0; }));
  ExpectArenaBalances(agent(), 128 * kMiB);
}

// The clients renewed in time; what they said lies unread in their sockets, behind more, when it goes on.
TEST_F(Stopped, AnAgentThatStoodStillLongerThanALeaseEndsNoneOfClientsThatLive) {
  constexpr int kClients = 64;
  constexpr int kAhead = 8;
  std::vector<std::pair<RawClient, Creating>> clients;
  for (int i = 0; i < kClients; ++i) {
    RawClient raw = Raw();
    LARDER_ASSERT_OK_AND_ASSIGN(const Creating creating, raw.Create(fmt::format("k/{}", i)));
    clients.emplace_back(std::move(raw), creating);
  }
  const double lapsed = Lapsed();
  agent().Signal(SIGSTOP);
  const auto stopped = std::chrono::steady_clock::now();
  for (const auto& [raw, creating] : clients) {
    for (int i = 0; i < kAhead; ++i) ASSERT_THAT(raw.Send(Op::kPing, {}, 0), IsOk());
    ASSERT_THAT(raw.Send(Op::kRenew, {}, 0), IsOk());
  }
  ASSERT_TRUE(Eventually([&] { return std::chrono::steady_clock::now() - stopped > 2 * kLeaseTtl; }));
  agent().Signal(SIGCONT);
  for (const auto& [raw, creating] : clients) EXPECT_THAT(raw.Seal(creating, 0), IsOk());
  EXPECT_EQ(Lapsed(), lapsed);
  ExpectServes();
  ExpectCreatorUntouched();
}

class StoppedReaderUnderQuota : public FaultTest {};

TEST_F(StoppedReaderUnderQuota, KeepsMemoryThatIsChargedToItsOwnNamespace) {
  Start({"--arena=128MiB", "--lease-ttl=1s", "--quotas-default-memory=24MiB"});
  ChildProcess stopped = Faulty();
  ASSERT_EQ(stopped.Ask("begin Reading k"), "OK");
  stopped.Signal(SIGSTOP);
  ExpectCreatorUntouched();
  auto own = Connect();
  ASSERT_TRUE(Eventually([&] { return Look().reading == 0; }));
  ASSERT_THAT(own->Delete(kKeptKey), IsOk());
  ASSERT_TRUE(Eventually([&] { return Look().quarantined > 0; }));
  const std::string bytes(20 * kMiB, 'x');
  const absl::Status refused = own->Put({.key = "more"}, base::AsBytes(bytes)).status();
  EXPECT_THAT(refused, base::StatusIs(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED"));
  EXPECT_THAT(base::Message(refused), HasSubstr("still mapped by clients"));
  auto other = Connect({.ns = "other"});
  EXPECT_THAT(other->Put({.key = "more"}, base::AsBytes(bytes)), IsOk());
  stopped.Signal(SIGKILL);
  stopped.Wait();
  EXPECT_TRUE(Eventually([&] { return own->Put({.key = "more"}, base::AsBytes(bytes)).ok(); }));
}

}  // namespace
}  // namespace larder::cache_agent
