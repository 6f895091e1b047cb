// A hostile client and what it says: forged leases, records that nobody sends, others' names.
#include <algorithm>
#include <filesystem>
#include <set>

#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "tests/cgroup_tree.h"
#include "tests/faults/hostile_test.h"

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;
using base::IsOk;
using base::kMiB;
using testing::HasSubstr;
using testing::MatchesRegex;

class ForgedLeases : public HostileTest {
 protected:
  void SetUp() override { Start({"--arena=64MiB"}); }
};

// Refused, but for giving back what it does not have, which has no effect.
constexpr char kRefused[] =
    "DISCARD OK, EXTENTS LEASE_LOST, READ LEASE_LOST, RELEASE OK, SEAL LEASE_LOST, WINDOW LEASE_LOST, WRITE LEASE_LOST";

TEST_F(ForgedLeases, OpenNothingThatIsAnothers) {
  const std::string first = "what came before, ", second = "and after.";
  for (const std::string ns : {"default", "honest"}) {
    RawClient honest = Raw(ns);
    LARDER_ASSERT_OK_AND_ASSIGN(const Creating creating, honest.Create("k"));
    ASSERT_THAT(honest.WriteInline(creating, base::AsBytes(first)), IsOk());
    const std::string large = Pattern("large", 300'000);
    ASSERT_THAT(Connect({.ns = ns})->Put({.key = "read"}, base::AsBytes(large)), IsOk());
    LARDER_ASSERT_OK_AND_ASSIGN(const Got got, honest.Get("read"));
    ASSERT_THAT(honest.Delete("read"), IsOk());

    ChildProcess hostile = HostileIn("default");
    EXPECT_EQ(hostile.Ask(fmt::format("forge {} {}", creating.lease, creating.epoch)), kRefused);
    EXPECT_EQ(hostile.Ask(fmt::format("forge {} {}", got.lease, got.epoch)), kRefused);

    ASSERT_THAT(honest.WriteInline(creating, base::AsBytes(second)), IsOk());
    EXPECT_THAT(honest.Seal(creating, first.size() + second.size()), IsOk());
    LARDER_ASSERT_OK_AND_ASSIGN(const Got sealed, honest.Get("k", 1));
    EXPECT_EQ(base::AsText(sealed.bytes), first + second);
    LARDER_ASSERT_OK_AND_ASSIGN(const RawClient::Record read,
                                honest.Ask(Op::kRead, base::ByteWriter().U64(got.lease).U64(0).U32(1000)));
    EXPECT_TRUE(base::AsText(read.payload) == large.substr(0, 1000)) << "its read lease is there still";
    ASSERT_THAT(honest.Delete("k"), IsOk());
  }
  ExpectServes();
  ExpectCreatorUntouched();
}

TEST_F(ForgedLeases, OfItsOwnWithEpochsThatAreNotTheirsAreStale) {
  RawClient hostile = Raw("default"), honest = Raw("default");
  LARDER_ASSERT_OK_AND_ASSIGN(const Creating own, hostile.Create("own"));
  LARDER_ASSERT_OK_AND_ASSIGN(const Creating others, honest.Create("others"));
  for (const uint64_t epoch : {others.epoch, own.epoch - 1, own.epoch + 1, uint64_t{0}, UINT64_MAX}) {
    const Creating forged{own.lease, epoch};
    const auto stale = base::StatusIs(absl::StatusCode::kAborted, "EPOCH_STALE");
    EXPECT_THAT(hostile.WriteInline(forged, base::AsBytes("late")), stale) << epoch;
    EXPECT_THAT(hostile.Seal(forged, 0), stale) << epoch;
    EXPECT_THAT(hostile.Discard(forged), stale) << epoch;
  }
  EXPECT_THAT(hostile.WriteInline(own, base::AsBytes("in time")), IsOk());
  EXPECT_THAT(hostile.Seal(own, 7), IsOk());
}

class MangledRecords : public HostileTest {
 protected:
  void SetUp() override { Start({"--arena=64MiB"}); }
};

TEST_F(MangledRecords, CostNobodyAnythingButTheirSender) {
  ChildProcess hostile = Hostile();
  const int rounds = NumberFromEnv("LARDER_MANGLED", 3000);
  const double connections = Look().connections;
  // The first make threads' heaps and slabs; nothing may come after.
  EXPECT_THAT(hostile.Ask("mangle hostile 1 500"), HasSubstr("lost"));
  EXPECT_TRUE(Witness(agent().endpoint(), "default").Verify());
  DeleteAll("", "hostile");
  Holdings before;
  ASSERT_TRUE(Eventually([&] {
    before = Look();
    return before.connections == connections && before.creating == 1 && before.quarantined == 0;
  }));
  auto witness = std::make_unique<Witness>(agent().endpoint(), "default");
  for (int part = 0; part < 3; ++part) {
    const std::string said = hostile.Ask(fmt::format("mangle hostile {} {}", part + 2, rounds / 3));
    EXPECT_THAT(said, MatchesRegex("[0-9]+ answered, [0-9]+ connections lost"));
    EXPECT_LE(agent().Measure().fds, before.kernels.fds + 16) << "what rode with the records is closed";
    fmt::print("{}\n", said);
  }
  EXPECT_TRUE(witness->Verify()) << witness->Complaint();
  witness.reset();
  DeleteAll("", "hostile");
  ASSERT_TRUE(Eventually([&] { return Look().connections == connections; }));
  ExpectNothingLeaked(before);
  ExpectArenaBalances(agent(), 64 * kMiB);
  ExpectServes();
  ExpectCreatorUntouched();
}

std::string Hex(std::string_view text) {
  std::string hex;
  for (const char c : text) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

class Names : public HostileTest {
 protected:
  // Everything that there is on disk, but for the agent's own data.
  std::set<std::string> Outside() const {
    std::set<std::string> paths;
    for (const auto& entry : fs::recursive_directory_iterator(dir_.path())) {
      const std::string path = entry.path().lexically_relative(dir_.path());
      if (!path.starts_with("data/")) paths.insert(path);
    }
    return paths;
  }
};

constexpr char kBadKey[] = "CREATE BAD_KEY, DELETE BAD_KEY, GET BAD_KEY, PIN BAD_KEY, PUT BAD_KEY, STAT BAD_KEY";

TEST_F(Names, ThatLeadElsewhereAreRefusedByEveryOperation) {
  Start({"--arena=64MiB", "--store=file"});
  ChildProcess hostile = HostileIn("hostile");
  const std::set<std::string> before = Outside();
  const std::string with_nul("a\0b", 3);
  for (const std::string& key :
       {with_nul, std::string(".."), std::string("../../escaped"), std::string("a/../b"), std::string("/etc/passwd"),
        std::string("a//b"), std::string("a/"), std::string("./a"), std::string("\xFF\xFE"), std::string("\xC0\xAE/x"),
        std::string("\xED\xA0\x80"), std::string(1025, 'k'), std::string(60'000, 'k'), std::string(256, 's')}) {
    EXPECT_EQ(hostile.Ask("key " + Hex(key)), kBadKey) << key.substr(0, 40);
  }
  EXPECT_EQ(Outside(), before);
  ExpectServes();
}

TEST_F(Names, OfAnotherNamespacesObjectsAreNobodysInItsOwn) {
  Start({"--arena=64MiB", "--store=file"});
  ChildProcess hostile = HostileIn("hostile");
  // Its own creation and object come to be, and go, under the same key; and under one that spells the other namespace.
  for (const std::string key : {kKeptKey, kSmallKey, "default/kept", "..default", "default%2Fkept"}) {
    EXPECT_EQ(hostile.Ask("key " + Hex(key)),
              "CREATE OK, DELETE NO_OBJECT, GET NO_OBJECT, PIN NO_OBJECT, PUT CREATING, STAT OK")
        << key;
  }
  ExpectServes();
  ExpectCreatorUntouched();
  for (const std::string& ns : {std::string("../default"), std::string("a/b"), std::string("Default"),
                                std::string(64, 'n'), std::string("default\0x", 9)}) {
    auto raw = RawClient::Dial(agent().socket_dir());
    ASSERT_THAT(raw, IsOk());
    EXPECT_THAT(raw->Hello(ns), base::StatusIs(absl::StatusCode::kInvalidArgument, "BAD_NAMESPACE")) << ns;
  }
}

const std::string kPod = "8dbc5577-d0e2-4706-8787-57d52c03ddf2";

// Identity by pod: its own word counts for nothing.
TEST_F(Names, OfNamespacesThatAreNotItsPodsAreForeign) {
  auto cgroups = CgroupTree::Make(CgroupVersion::kTwo);
  if (!cgroups.ok()) GTEST_SKIP() << base::Message(cgroups.status());
  const std::string pods = dir_ / "pods.yaml";
  ASSERT_THAT(base::WriteFileAtomically(pods, "pods:\n  " + kPod + ": {namespace: team-a, name: hostile}\n"), IsOk());
  agent_ = std::make_unique<AgentProcess>(
      dir_.path(), std::vector<std::string>{"--arena=16MiB", "--identity=cgroup", "--pods-file=" + pods});
  ChildProcess hostile = Hostile((*cgroups)->Add("kubepods/pod" + kPod + "/c1"));
  for (const char* ns : {"team-b", "default", "kube-system"}) {
    EXPECT_THAT(hostile.Ask(std::string("open ") + ns), HasSubstr("FOREIGN_NAMESPACE"));
  }
  EXPECT_EQ(hostile.Ask("open team-a"), "OK");
  EXPECT_EQ(hostile.Ask("put own 1000"), "OK");
  EXPECT_THAT(RawClient::Greeted(agent().socket_dir(), "team-a").status(),
              base::StatusIs(absl::StatusCode::kPermissionDenied, "NO_POD"));
  hostile.Signal(SIGKILL);
  hostile.Wait();
  EXPECT_TRUE(Eventually([&] { return Look().connections == 0; }));
}

}  // namespace
}  // namespace larder::cache_agent
