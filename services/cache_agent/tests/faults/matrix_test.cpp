// Every fault, with every party, in the middle of everything, over both stores: who did nothing wrong is served on,
// what was acknowledged is there byte for byte, and nothing is left behind. README.md says how to run one cell, or all.
#include "tests/faults/matrix.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <set>

#include "larder/base/units.h"
#include "tests/faults/churn.h"
#include "tests/faults/damage.h"
#include "tests/faults/fault_test.h"
#include "tests/record_proxy.h"

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;
using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Matcher;
using testing::StartsWith;

constexpr uint64_t kArena = 64 * kMiB;
constexpr char kKey[] = "made";  // what the victim makes
constexpr char kSecond[] = "what the second creator of it writes";
constexpr uint64_t kDisk = 24 * kMiB;
constexpr uint64_t kOfAConnection = 2;  // descriptors of the agent: the socket, and the process behind it
constexpr uint64_t kFileHeader = 4096;
constexpr uint64_t kFlipped = 2 * kMiB;  // where in kKeptKey, and half as far as kFlippedSmall in kSmallKey
constexpr uint64_t kFlippedSmall = 500;

class FaultMatrix : public FaultTest, public testing::WithParamInterface<Cell> {
 protected:
  const Cell& cell() const { return GetParam(); }
  Doing doing() const { return cell().doing(); }
  bool File() const { return cell().store == Store::kFile; }
  bool Is(Fault fault, Party party) const { return cell().fault == fault && cell().party == party; }
  bool OnTheWire() const {
    return cell().fault == Fault::kCut || (cell().fault == Fault::kBitFlip && cell().party != Party::kAgent);
  }
  bool AgentDies() const { return Is(Fault::kKillNine, Party::kAgent) || FlipsAHeader(); }
  bool FlipsAHeader() const { return Is(Fault::kBitFlip, Party::kAgent) && doing() == Doing::kIdle; }
  // The agent can take nothing new on: who reads is served on, who writes is told.
  bool Short() const { return cell().party == Party::kAgent && (cell().fault == Fault::kNoSpace || Starves()); }
  bool Starves() const { return cell().fault == Fault::kNoDescriptors; }

  void Begin();
  void Inject();
  void Finish();
  void ExpectOutcome() const;
  void ExpectKeyWholeOrAbsent() const;
  void ExpectSecondGoesOn();
  void GoOnAfterTheAgent();
  void ExpectDamageIsKnown();
  void ExpectNothingHeld();
  void CreatorGoesOn();

 private:
  std::vector<std::string> Flags() const;
  std::vector<std::string> Wrapper() const;
  RecordProxy::Verdict Tamper(RecordProxy::From from, std::span<std::byte> record);
  void StartUpkeep();
  void InjectBefore();
  void AwaitStopHurts(double lapsed) const;
  void FillUp();
  void FlipStored();
  Matcher<std::string> Expected() const;

  size_t descriptors_ = 0;  // that clients cost the agent, before there are any but the honest creator
  int seen_ = 0;            // records like the one that is cut off or changed
  std::unique_ptr<RecordProxy> proxy_;
  std::optional<ChildProcess> victim_;
  std::optional<NoMoreDescriptors> starved_;
  std::unique_ptr<Witness> witness_;
  std::unique_ptr<Churn> churn_;
  std::optional<RawClient> second_;
  std::string outcome_;                     // empty: the victim was not asked
  std::unique_ptr<client::Client> filler_;  // stays while there is to be no room: its buffer takes some, too
  std::vector<std::string> filling_;
  bool creator_went_on_ = false;
};

std::vector<std::string> FaultMatrix::Flags() const {
  std::vector<std::string> flags = {fmt::format("--arena={}", kArena), File() ? "--store=file" : "--store=memory",
                                    EvictingFlag(dir_.path(), {kChurnNamespace})};
  // Long enough that clients by hand need not renew; or so short that one that is stopped loses what it has.
  if (cell().fault == Fault::kStop && cell().party != Party::kAgent) flags.push_back("--lease-ttl=1s");
  return flags;
}

// A file system of its own, which nobody else sees and which can be full.
std::vector<std::string> FaultMatrix::Wrapper() const {
  if (cell().fault != Fault::kNoSpace || !File()) return {};
  const std::string data = (dir_ / "data").string();
  fs::create_directories(data);
  return {"/usr/bin/unshare",
          "-m",
          "/bin/sh",
          "-c",
          fmt::format("mount -t tmpfs -o size={} larder '{}' && exec \"$@\"", kDisk, data),
          "sh"};
}

RecordProxy::Verdict FaultMatrix::Tamper(RecordProxy::From from, std::span<std::byte> record) {
  const auto side = cell().party == Party::kAgent ? RecordProxy::From::kAgent : RecordProxy::From::kClient;
  Op op{};
  std::memcpy(&op, record.data() + sizeof(uint32_t) + sizeof(uint16_t), sizeof op);
  if (from != side || op != cell().at().op || ++seen_ != cell().at().nth) return RecordProxy::Verdict::kPass;
  if (cell().fault == Fault::kCut) return RecordProxy::Verdict::kCut;
  // Of the payload where it is bytes of an object, else of the header.
  (doing() == Doing::kInlineWrite ? record.back() : record.front()) ^= std::byte{1};
  return RecordProxy::Verdict::kPass;
}

void FaultMatrix::StartUpkeep() {
  if (cell().at().upkeep == Upkeep::kNone) return;
  const bool evicting = cell().at().upkeep == Upkeep::kEvicting;
  churn_ = std::make_unique<Churn>(agent().endpoint(), evicting ? Churn::Kind::kEvicting : Churn::Kind::kCompacting);
  const char* series =
      evicting ? "larder_agent_evictions_total{tier=\"hot\",reason=\"room\"}" : "larder_agent_compacted_total";
  ASSERT_TRUE(Eventually([&] { return agent().Metric(series) > 0; })) << churn_->failure();
}

// What must be so already when the victim comes: it gets there then, or not.
void FaultMatrix::InjectBefore() {
  if (Starves() && cell().party == Party::kAgent) {
    starved_.emplace(agent().pid(), doing() == Doing::kConnecting ? 0 : kOfAConnection);
  } else if (Starves()) {
    starved_.emplace(victim_->pid(), 1);  // its socket
  }
  if (cell().fault == Fault::kNoSpace && (doing() == Doing::kCreating || doing() == Doing::kBatch)) FillUp();
  if (Is(Fault::kBitFlip, Party::kAgent) && doing() == Doing::kInlineRead) FlipStored();
}

void FaultMatrix::Begin() {
  if (Starves() && kAddressSanitizer) GTEST_SKIP() << "UBSan takes descriptors to look at the type of an object";
  if (!Wrapper().empty() && ::geteuid() != 0) GTEST_SKIP() << "a file system of its own needs root";
  Start(Flags(), Wrapper());
  descriptors_ = ClientDescriptorsOf(agent().pid()) - kOfAConnection;
  if (!AgentDies() && !Short()) witness_ = std::make_unique<Witness>(agent().endpoint(), "default");
  ASSERT_NO_FATAL_FAILURE(StartUpkeep());
  fs::path socket_dir = agent().socket_dir();
  if (OnTheWire()) {
    socket_dir = dir_ / "proxy";
    proxy_ = std::make_unique<RecordProxy>(
        socket_dir, agent().socket_dir(),
        [this](RecordProxy::From from, std::span<std::byte> record) { return Tamper(from, record); });
  }
  if (Creates(doing())) second_ = Raw();
  victim_.emplace(std::vector<std::string>{LARDER_FAULTY_CLIENT, socket_dir}, ChildProcess::Output::kStdout);
  InjectBefore();
  outcome_ = victim_->Ask(fmt::format("begin {} {}", DoingName(doing()), kKey));
  if (second_) {
    ASSERT_THAT(second_->Send(Op::kCreate, CreationOf(kKey, {.overwrite = true})), IsOk());
  }
}

// The agent has done to a client that is stopped all that it does.
void FaultMatrix::AwaitStopHurts(double lapsed) const {
  const bool leased =
      (Creates(doing()) && doing() != Doing::kSealing) || doing() == Doing::kReading || doing() == Doing::kStreamRead;
  const char* late = "larder_agent_denied_total{reason=\"hello_timeout\"}";
  if (doing() == Doing::kConnecting) {
    EXPECT_TRUE(Eventually([&] { return agent_->Metric(late) == 1; }));
  } else if (leased) {
    EXPECT_TRUE(
        Eventually([&] { return agent_->Metric("larder_lease_reclaimed_total{reason=\"lapsed\"}") >= lapsed + 1; }));
  } else {
    EXPECT_TRUE(witness_->Verify());
  }
}

void FaultMatrix::FillUp() {
  filler_ = Connect();
  for (const uint64_t size : {2 * kMiB, 66 * kKiB, uint64_t{1}}) {
    const std::string bytes(size, 'f');
    absl::Status put;
    while (put.ok()) {
      const std::string key = fmt::format("filling/{}", filling_.size());
      put = filler_->Put({.key = key}, base::AsBytes(bytes)).status();
      if (put.ok()) filling_.push_back(key);
    }
    ASSERT_EQ(put.code(), absl::StatusCode::kResourceExhausted) << put;
  }
}

void FaultMatrix::FlipStored() {
  const bool small = doing() == Doing::kInlineRead;
  const uint64_t at = small ? kFlippedSmall : kFlipped;
  const std::string around = (small ? Pattern(kSmallKey, kSmallSize) : Pattern(kKeptKey, kKeptSize)).substr(at, 64);
  if (!File()) {
    ASSERT_GT(FlipInMemory(agent().pid(), around), 0);
    return;
  }
  const fs::path file = FileWith(dir_ / "data/objects", around);
  ASSERT_FALSE(file.empty());
  FlipInFile(file, FlipsAHeader() ? 100 : kFileHeader + at);
}

void FaultMatrix::Inject() {
  const double lapsed = agent().Metric("larder_lease_reclaimed_total{reason=\"lapsed\"}");
  if (cell().fault == Fault::kKillNine || FlipsAHeader()) {
    if (FlipsAHeader()) FlipStored();
    if (cell().party != Party::kAgent) {
      victim_->Signal(SIGKILL);
      EXPECT_EQ(victim_->Wait(), -SIGKILL);
      victim_.reset();
      outcome_.clear();
    } else {
      agent().Signal(SIGKILL);
      EXPECT_EQ(agent_->Wait(), -SIGKILL);
    }
  } else if (Is(Fault::kStop, Party::kAgent)) {
    agent().Signal(SIGSTOP);
  } else if (cell().fault == Fault::kStop) {
    victim_->Signal(SIGSTOP);
    AwaitStopHurts(lapsed);
    victim_->Signal(SIGCONT);
  } else if (cell().fault == Fault::kNoSpace && filling_.empty()) {
    FillUp();
  } else if (Is(Fault::kBitFlip, Party::kAgent) && doing() != Doing::kInlineRead) {
    FlipStored();
  }
}

void FaultMatrix::CreatorGoesOn() {
  if (!std::exchange(creator_went_on_, true)) ExpectCreatorUntouched();
}

void FaultMatrix::Finish() {
  if (!victim_) return;
  const bool begun = outcome_ == "OK";
  if (begun) victim_->WriteLine("finish");
  if (Is(Fault::kStop, Party::kAgent)) agent().Signal(SIGCONT);
  // What waits in the kernel for a descriptor gets one now; the batch has an item that waits for the creator.
  if (doing() == Doing::kConnecting || doing() == Doing::kBatch) starved_.reset();
  if (begun && doing() == Doing::kBatch && !AgentDies()) CreatorGoesOn();
  if (begun) outcome_ = victim_->ReadLine();
  starved_.reset();
  victim_.reset();
  for (const std::string& key : filling_) EXPECT_THAT(filler_->Delete(key), IsOk());
  filler_.reset();
}

Matcher<std::string> FaultMatrix::Expected() const {
  const Matcher<std::string> ok = "OK";
  const Matcher<std::string> lost = StartsWith("UNAVAILABLE CONNECTION_LOST");
  const bool writes = Creates(doing()) && doing() != Doing::kSealing;
  switch (cell().fault) {
    case Fault::kKillNine:
      // What was asked may have been answered before.
      return doing() == Doing::kSealing || doing() == Doing::kInlineRead || doing() == Doing::kReleasing ||
                     doing() == Doing::kDeleting
                 ? AnyOf(ok, lost)
                 : lost;
    case Fault::kStop:
      if (cell().party == Party::kAgent) return ok;
      if (doing() == Doing::kConnecting) return lost;
      return writes || doing() == Doing::kStreamRead ? StartsWith("ABORTED LEASE_LOST") : ok;
    case Fault::kCut:
      return lost;
    case Fault::kNoSpace:
      if (doing() == Doing::kBatch) return HasSubstr("code 8");
      if (doing() == Doing::kCreating) return StartsWith("RESOURCE_EXHAUSTED");
      if (doing() == Doing::kWritten && File()) return AnyOf(ok, StartsWith("RESOURCE_EXHAUSTED DISK_FULL"));
      // Memory was reserved when the creation began.
      return writes && File() ? StartsWith("RESOURCE_EXHAUSTED DISK_FULL") : ok;
    case Fault::kNoDescriptors:
      if (!File() || cell().party != Party::kAgent) return ok;
      if (doing() == Doing::kBatch) return HasSubstr("code 8");
      return Creates(doing()) || doing() == Doing::kDeleting ? StartsWith("RESOURCE_EXHAUSTED EMFILE") : ok;
    case Fault::kBitFlip:
      break;
  }
  if (FlipsAHeader()) return lost;
  if (cell().party == Party::kAgent) return StartsWith(File() ? "DATA_LOSS CHECKSUM" : "DATA_LOSS OTHER_BYTES");
  return StartsWith(doing() == Doing::kInlineWrite ? "DATA_LOSS DIGEST_MISMATCH" : "INVALID_ARGUMENT BAD_RECORD");
}

void FaultMatrix::ExpectOutcome() const {
  if (cell().fault == Fault::kKillNine && cell().party != Party::kAgent) return;  // nobody is left to be told
  EXPECT_THAT(outcome_, Expected());
}

void FaultMatrix::ExpectKeyWholeOrAbsent() const {
  if (!Creates(doing()) && doing() != Doing::kDeleting) return;
  auto client = Connect();
  const auto reader = client->Get(kKey);
  // Who was told nothing does not know: both are right.
  const bool unknown =
      outcome_.empty() || outcome_.starts_with("UNAVAILABLE") || (doing() == Doing::kDeleting && outcome_ != "OK");
  const bool sealed = outcome_ == "OK" && Creates(doing()) && !(AgentDies() && !File());
  if (!unknown) {
    EXPECT_EQ(reader.ok(), sealed) << outcome_ << ", but " << reader.status();
  }
  if (!reader.ok()) {
    EXPECT_THAT(reader.status(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
    return;
  }
  std::string found((*reader)->info().size, '\0');
  ASSERT_THAT((*reader)->Read(0, std::as_writable_bytes(std::span(found))), IsOk());
  EXPECT_TRUE(found == Pattern(kKey, SizeOf(doing()))) << "of " << found.size() << " bytes";
}

void FaultMatrix::ExpectSecondGoesOn() {
  if (!second_) return;
  absl::StatusOr<Creating> granted;
  if (AgentDies()) {
    granted = second_->ReceiveCreating();
    const bool was_next = granted.ok() && doing() == Doing::kSealing;  // the seal came before the end
    if (!was_next) {
      EXPECT_THAT(granted.status(), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
    }
    second_ = Raw();
    granted = second_->Create(kKey, {.overwrite = true});
  } else {
    granted = second_->ReceiveCreating();
    // It was told, when its turn came while there was nothing to be had.
    if (Short() && absl::IsResourceExhausted(granted.status())) {
      granted = second_->Create(kKey, {.overwrite = true});
    }
  }
  ASSERT_THAT(granted, IsOk());
  const base::ByteSpan bytes = base::AsBytes(std::string_view(kSecond));
  absl::Status written = second_->WriteInline(*granted, bytes);
  if (base::Reason(written) == "LEASE_LOST") {
    // Its turn came while this test looked elsewhere, for longer than the TTL where the machine is slow.
    granted = second_->Create(kKey, {.overwrite = true});
    ASSERT_THAT(granted, IsOk());
    written = second_->WriteInline(*granted, bytes);
  }
  ASSERT_THAT(written, IsOk());
  ASSERT_THAT(second_->Seal(*granted, bytes.size(), base::Crc32cDigest(base::Crc32c(bytes))), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const Got got, second_->Get(kKey, kNoDescriptors));
  if (!File()) {
    EXPECT_EQ(base::AsText(got.bytes), kSecond);
  }
  second_.reset();
}

// What is damaged is found to be, and can be made anew.
void FaultMatrix::ExpectDamageIsKnown() {
  const std::string key = doing() == Doing::kInlineRead ? kSmallKey : kKeptKey;
  auto client = Connect();
  const auto reader = client->Get(key);
  if (File()) {
    EXPECT_THAT(reader.status(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  } else {
    // Nobody checks memory again; the digest tells, to who looks.
    ASSERT_THAT(reader, IsOk());
    ASSERT_TRUE((*reader)->Bytes());
    EXPECT_NE(base::Crc32c(*(*reader)->Bytes()), (*reader)->info().digest.crc32c);
  }
  const std::string again = key == kSmallKey ? Pattern(key, kSmallSize) : Pattern(key, kKeptSize);
  EXPECT_THAT(client->Put({.key = key, .overwrite = true}, base::AsBytes(again)), IsOk());
}

void FaultMatrix::GoOnAfterTheAgent() {
  ExpectCreatorLost();
  creator_went_on_ = true;
  churn_.reset();
  Restart(Flags());
  descriptors_ = ClientDescriptorsOf(agent().pid());
  if (FlipsAHeader()) {
    EXPECT_FALSE(FileWith(dir_ / "data/objects/damaged", Pattern(kKeptKey, kKeptSize).substr(kFlipped, 64)).empty());
  } else if (!File()) {
    auto client = Connect();
    EXPECT_THAT(client->Get(kKeptKey).status(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
    for (const auto& [key, size] : {std::pair(kKeptKey, kKeptSize), std::pair(kSmallKey, kSmallSize)}) {
      EXPECT_THAT(client->Put({.key = key}, base::AsBytes(Pattern(key, size))), IsOk());
    }
  }
}

void FaultMatrix::ExpectNothingHeld() {
  if (witness_ != nullptr) {
    EXPECT_TRUE(witness_->Verify()) << witness_->Complaint();
  }
  witness_.reset();
  churn_.reset();
  proxy_.reset();
  EndCreator();
  Holdings now;
  EXPECT_TRUE(Eventually([&] {
    now = Look();
    return now.connections == 0 && now.creating == 0 && now.reading == 0 && now.quarantined == 0;
  })) << fmt::format("connections {}, creating {}, reading {}, quarantined {}", now.connections, now.creating,
                     now.reading, now.quarantined);
  ExpectArenaBalances(agent(), kArena);
  EXPECT_TRUE(Eventually([&] { return ClientDescriptorsOf(agent().pid()) <= descriptors_; }))
      << ClientDescriptorsOf(agent().pid()) << " of " << descriptors_;
}

TEST_P(FaultMatrix, HurtsNobodyElseAndLeavesNothing) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  if (IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(Inject());
  Finish();
  ExpectOutcome();
  if (AgentDies()) GoOnAfterTheAgent();
  ExpectKeyWholeOrAbsent();
  ExpectSecondGoesOn();
  if (Is(Fault::kBitFlip, Party::kAgent)) ExpectDamageIsKnown();
  ExpectServes();
  CreatorGoesOn();
  ExpectNothingHeld();
}

// All with LARDER_MATRIX=full, else few in which each two values meet.
bool RunsAll() {
  const char* which = std::getenv("LARDER_MATRIX");
  return which != nullptr && std::string_view(which) == "full";
}
std::vector<Cell> Chosen() { return RunsAll() ? CellsThatRun() : Representative(CellsThatRun()); }

INSTANTIATE_TEST_SUITE_P(X, FaultMatrix, testing::ValuesIn(Chosen()),
                         [](const auto& info) { return NameOf(info.param); });

// The names of the cells that this program runs.
std::set<std::string> Instantiated() {
  std::set<std::string> names;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    if (std::string_view(suite.name()) != "X/FaultMatrix") continue;
    for (int k = 0; k < suite.total_test_count(); ++k) {
      const std::string name = suite.GetTestInfo(k)->name();
      names.insert(name.substr(name.find('/') + 1));
    }
  }
  return names;
}

TEST(FaultMatrixTable, EachCellIsRunOrItIsSaidWhyNot) {
  std::set<std::string> with_reason, all;
  for (const Cell& cell : Product()) {
    all.insert(NameOf(cell));
    if (!ReasonNotToRun(cell).empty()) with_reason.insert(NameOf(cell));
  }
  EXPECT_EQ(all.size(), kFaults.size() * kParties.size() * kStates.size() * kStores.size());
  const std::set<std::string> run = Instantiated();
  for (const std::string& name : all) {
    if (RunsAll()) {
      EXPECT_NE(run.contains(name), with_reason.contains(name)) << name;
    } else {
      EXPECT_FALSE(run.contains(name) && with_reason.contains(name)) << name;
    }
  }
  fmt::print("{} cells: {} are run, {} have their reason not to be\n", all.size(), run.size(), with_reason.size());
}

}  // namespace
}  // namespace larder::cache_agent
