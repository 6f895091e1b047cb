#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <set>
#include <stdexcept>

#include "larder/arena/arena.h"
#include "larder/backends/memory/backend.h"
#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/units.h"
#include "larder/object/testing/test_node.h"

namespace larder::backends::memory {
namespace {

using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using object::Blob;
using object::ObjectId;
using testing::IsEmpty;

const ObjectId kId{"team-a", "k"};

class MemoryBackend : public testing::Test {
 protected:
  void SetUp() override { Begin(16 * kMiB, kMiB); }
  void Begin(uint64_t size, uint64_t slab_size) {
    backend_.reset();
    auto arena = arena::Arena::Create({.size = size, .slab_size = slab_size});
    ASSERT_THAT(arena.status(), IsOk());
    arena_ = *std::move(arena);
    auto backend = Make({.arena = arena_.get()});
    ASSERT_THAT(backend.status(), IsOk());
    backend_ = *std::move(backend);
  }
  absl::StatusOr<std::shared_ptr<const object::BlobView>> Store(uint64_t size, uint64_t hint) {
    LARDER_ASSIGN_OR_RETURN(std::unique_ptr<Blob> blob, backend_->Create(kId, {1}, hint));
    LARDER_RETURN_IF_ERROR(blob->Append(std::vector<std::byte>(size, std::byte{7})));
    return backend_->Seal(std::move(blob), {.id = kId, .size = size});
  }

  std::unique_ptr<arena::Arena> arena_;
  std::unique_ptr<object::Backend> backend_;
};

TEST_F(MemoryBackend, NeedsAnArena) { EXPECT_THAT(Make({}), StatusIs(absl::StatusCode::kInvalidArgument, "NO_ARENA")); }

TEST_F(MemoryBackend, KeepsUpTo64KiBPrivateAndSharesWhatIsLarger) {
  for (const bool hint : {false, true}) {
    for (const uint64_t size : {uint64_t{0}, uint64_t{1}, 64 * kKiB}) {
      LARDER_ASSERT_OK_AND_ASSIGN(const auto view, Store(size, hint ? size : 0));
      EXPECT_THAT(view->Shareable(), IsEmpty()) << size;
      EXPECT_EQ(view->Bytes()->size(), size);
    }
    for (const uint64_t size : {64 * kKiB + 1, kMiB, 3 * kMiB}) {
      LARDER_ASSERT_OK_AND_ASSIGN(const auto view, Store(size, hint ? size : 0));
      EXPECT_FALSE(view->Shareable().empty()) << size;
    }
  }
}

TEST_F(MemoryBackend, ManyEmptyObjectsWithLongWordsFillTheArenaToo) {
  std::vector<std::shared_ptr<const object::BlobView>> views;
  absl::Status full;
  const ObjectId id{"team-a", std::string(255, 'k')};
  const object::ObjectMeta meta{.tags = std::vector<std::string>(16, std::string(128, 't'))};
  while (full.ok() && views.size() < 100'000) {
    absl::StatusOr<std::unique_ptr<Blob>> blob = backend_->Create(id, {1}, 0);
    full = blob.status();
    if (!full.ok()) break;
    auto view = backend_->Seal(*std::move(blob), {.id = id, .meta = meta});
    full = view.status();
    if (full.ok()) views.push_back(*std::move(view));
  }
  EXPECT_THAT(full, StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  // Key, tags and table entries of one take about 3.5 KiB.
  EXPECT_LE(views.size(), 16 * kMiB / 3'000);
  views.clear();
  EXPECT_EQ(arena_->usage().allocated, 0u);
}

TEST_F(MemoryBackend, PacksSmallObjectsSoThatTheyShareSlabs) {
  std::vector<std::shared_ptr<const object::BlobView>> views;
  for (int i = 0; i < 40; ++i) {
    LARDER_ASSERT_OK_AND_ASSIGN(auto view, Store(100 * kKiB, 100 * kKiB));
    views.push_back(std::move(view));
  }
  EXPECT_LE(backend_->usage().used, 5 * kMiB) << "4 MiB of bytes, at most 1.25 times as much resident";
}

TEST_F(MemoryBackend, AnObjectOfUnknownSizeFitsWhereverOneOfKnownSizeDoes) {
  Begin(17 * kMiB, 4 * kMiB);  // four slabs, and one MiB for what is kept about the objects
  std::vector<std::shared_ptr<const object::BlobView>> views;
  for (int i = 0; i < 30; ++i) {  // the last slab has 1 MiB of room; growing in larger steps would find none
    LARDER_ASSERT_OK_AND_ASSIGN(auto view, Store(512 * kKiB, 512 * kKiB));
    views.push_back(std::move(view));
  }
  LARDER_ASSERT_OK_AND_ASSIGN(auto view, Store(300 * kKiB, 0));
  EXPECT_EQ(view->size(), 300 * kKiB);
  EXPECT_THAT(Store(900 * kKiB, 0), StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
}

TEST_F(MemoryBackend, AHintThatCanNeverFitTakesNothingFromOthersMeanwhile) {
  // Slabs of this namespace that are free stay so: they were not handed out and dropped on the way to the refusal.
  { LARDER_ASSERT_OK_AND_ASSIGN(const auto view, Store(kMiB, kMiB)); }
  arena_->Maintain();
  LARDER_ASSERT_OK_AND_ASSIGN(const auto before, Store(kMiB, kMiB));
  const uint64_t slab = before->Shareable().front().memory->id();
  EXPECT_THAT(backend_->Create(kId, {2}, uint64_t{1} << 40),
              StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  LARDER_ASSERT_OK_AND_ASSIGN(const auto after, Store(kMiB, kMiB));
  EXPECT_LT(after->Shareable().front().memory->id(), slab) << "one of those made at start, not one made anew";
}

TEST_F(MemoryBackend, StoresAndSumsPartsOfAnySizeFromAnyAddress) {
  std::mt19937_64 random(7);
  const std::vector<std::byte> source = object::SampleBytes(600 * kKiB);
  for (int round = 0; round < 100; ++round) {
    const uint64_t hint = round % 2 == 0 ? 0 : source.size();
    LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend_->Create(kId, {1}, hint));
    std::vector<std::byte> expected;
    for (int part = 0; part < 6; ++part) {
      // Sizes of every order of magnitude, so that the parts begin and end anywhere in pages, lines and words.
      const uint64_t size = random() % (uint64_t{1} << random() % 18);
      const base::ByteSpan bytes = base::ByteSpan(source).subspan(random() % (source.size() - size), size);
      ASSERT_THAT(blob->Append(bytes), IsOk());
      expected.insert(expected.end(), bytes.begin(), bytes.end());
    }
    EXPECT_EQ(blob->crc32c(), base::Crc32c(expected));
    LARDER_ASSERT_OK_AND_ASSIGN(const auto view, backend_->Seal(std::move(blob), {.id = kId, .size = expected.size()}));
    EXPECT_TRUE(object::BytesOf(*view) == expected) << round;
  }
}

// Memory that another process writes all over, without end.
class Scribbler {
 public:
  explicit Scribbler(size_t size)
      : size_(size), shared_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (shared_ == MAP_FAILED) throw std::runtime_error("no memory to share");
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("no process to write it");
    if (pid_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto* const words = static_cast<volatile uint64_t*>(shared_);
    for (size_t i = 0;; i = (i + 8) % (size_ / sizeof(uint64_t))) words[i] = words[i] + 1;
  }
  ~Scribbler() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::munmap(shared_, size_);
  }
  base::ByteSpan bytes() const { return {static_cast<const std::byte*>(shared_), size_}; }

 private:
  const size_t size_;
  void* const shared_;
  pid_t pid_ = -1;
};

// What a client shares with the agent it can also change while the agent copies.
TEST_F(MemoryBackend, TheChecksumIsOfWhatIsStoredThoughTheSourceChangesMeanwhile) {
  constexpr uint64_t kSize = 2 * kMiB;
  Scribbler scribbler(kSize);
  std::set<uint32_t> sums;
  // Until it has been seen at work that often.
  while (sums.size() < 50) {
    LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend_->Create(kId, {1}, kSize));
    ASSERT_THAT(blob->Append(scribbler.bytes()), IsOk());
    const uint32_t sum = blob->crc32c();
    sums.insert(sum);
    LARDER_ASSERT_OK_AND_ASSIGN(const auto view, backend_->Seal(std::move(blob), {.id = kId, .size = kSize}));
    ASSERT_EQ(base::Crc32c(object::BytesOf(*view)), sum);
  }
}

}  // namespace
}  // namespace larder::backends::memory
