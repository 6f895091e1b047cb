// A client that keeps ways to write the windows it gave back, which the kernel's proof of reuse does not see.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "larder/base/units.h"
#include "tests/faults/fault_test.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::kMiB;

constexpr uint64_t kSize = 2 * kMiB;
constexpr int kRounds = 20;

// Overwrites a window with zeros, though it has neither a mapping nor a descriptor of it that is counted.
class Keeper {
 public:
  virtual ~Keeper() = default;
  virtual void Overwrite() = 0;
};

// Root opens an O_PATH descriptor anew, to write.
class PathKeeper final : public Keeper {
 public:
  explicit PathKeeper(const Shared& window) : path_(Reopen(window.fds.at(0).get(), O_PATH)) {}
  void Overwrite() override {
    const Memory again(Reopen(path_.get(), O_RDWR).get(), 0, kSize, PROT_READ | PROT_WRITE);
    std::ranges::fill(again.bytes(), std::byte{0});
  }

 private:
  static base::UniqueFd Reopen(int fd, int flags) {
    return base::UniqueFd(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), flags | O_CLOEXEC));
  }
  base::UniqueFd path_;
};

// The kernel writes pages that io_uring has pinned, whatever became of their mapping.
class PinKeeper final : public Keeper {
 public:
  // Throws std::system_error where the kernel has no io_uring for us.
  explicit PinKeeper(const Shared& window) {
    io_uring_params params{};
    ring_.Reset(static_cast<int>(::syscall(SYS_io_uring_setup, 1, &params)));
    if (!ring_) throw std::system_error(errno, std::generic_category(), "io_uring_setup");
    queue_ = Memory(ring_.get(), IORING_OFF_SQ_RING, params.sq_off.array + sizeof(uint32_t), PROT_READ | PROT_WRITE);
    entry_ = Memory(ring_.get(), IORING_OFF_SQES, sizeof(io_uring_sqe), PROT_READ | PROT_WRITE);
    tail_ = reinterpret_cast<uint32_t*>(queue_.bytes().data() + params.sq_off.tail);
    const Memory mapped(window.fds.at(0).get(), 0, kSize, PROT_READ | PROT_WRITE);
    at_ = reinterpret_cast<uint64_t>(mapped.bytes().data());
    const iovec part{mapped.bytes().data(), kSize};
    if (::syscall(SYS_io_uring_register, ring_.get(), IORING_REGISTER_BUFFERS, &part, 1) != 0) {
      throw std::system_error(errno, std::generic_category(), "pin a window");
    }
  }
  void Overwrite() override {
    const base::UniqueFd zeros(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    auto* entry = reinterpret_cast<io_uring_sqe*>(entry_.bytes().data());
    *entry = {.opcode = IORING_OP_READ_FIXED, .fd = zeros.get(), .addr = at_, .len = kSize};
    __atomic_store_n(tail_, *tail_ + 1, __ATOMIC_RELEASE);
    ::syscall(SYS_io_uring_enter, ring_.get(), 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
  }

 private:
  base::UniqueFd ring_;
  Memory queue_, entry_;
  uint32_t* tail_ = nullptr;
  uint64_t at_ = 0;
};

class KeptWindow : public FaultTest {
 protected:
  void SetUp() override { Start({"--arena=64MiB"}); }
  template <typename Kind>
  void ExpectOthersUntouched() {
    RawClient hostile = Raw();
    LARDER_ASSERT_OK_AND_ASSIGN(const Creating creating, hostile.Create("hostile"));
    std::unique_ptr<Keeper> keeper;
    try {
      LARDER_ASSERT_OK_AND_ASSIGN(const Shared window, hostile.Window(creating.lease, kSize));
      keeper = std::make_unique<Kind>(window);
    } catch (const std::system_error& e) {
      GTEST_SKIP() << e.what();
    }
    ASSERT_THAT(hostile.Discard(creating), IsOk());
    auto honest = Connect();
    const std::string content = Pattern("honest", kSize);
    for (int round = 0; round < kRounds; ++round) {
      LARDER_ASSERT_OK_AND_ASSIGN(auto writer, honest->Create({.key = "honest", .overwrite = true}));
      LARDER_ASSERT_OK_AND_ASSIGN(const base::MutableByteSpan buffer, writer->Buffer(kSize));
      std::ranges::copy(base::AsBytes(content), buffer.begin());
      keeper->Overwrite();
      ASSERT_TRUE(base::AsText(buffer) == content) << "round " << round;
      ASSERT_THAT(writer->Seal(base::Crc32cDigest(base::Crc32c(base::AsBytes(content)))), IsOk());
    }
  }
};

TEST_F(KeptWindow, ThatAPathStillLeadsToIsNobodyElses) { ExpectOthersUntouched<PathKeeper>(); }
TEST_F(KeptWindow, WhosePagesArePinnedIsNobodyElses) { ExpectOthersUntouched<PinKeeper>(); }

TEST_F(KeptWindow, DoesNotTakeAllOfTheArena) {
  RawClient hostile = Raw("greedy");
  std::vector<Shared> kept;
  for (int i = 0; i < 40; ++i) {
    LARDER_ASSERT_OK_AND_ASSIGN(const Creating creating, hostile.Create("k"));
    auto window = hostile.Window(creating.lease, kSize);
    if (window.ok()) kept.push_back(*std::move(window));
    ASSERT_THAT(hostile.Discard(creating), IsOk());
  }
  EXPECT_LE(Look().quarantined, 64 * kMiB / 3);
  auto honest = Connect({.ns = "honest"});
  EXPECT_THAT(honest->Put({.key = "k"}, base::AsBytes(Pattern("k", 16 * kMiB))), IsOk());
  kept.clear();
  EXPECT_TRUE(Eventually([&] { return Look().quarantined == 0; }));
  ExpectArenaBalances(agent(), 64 * kMiB);
}

}  // namespace
}  // namespace larder::cache_agent
