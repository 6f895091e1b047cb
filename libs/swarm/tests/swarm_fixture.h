#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/swarm/fetch.h"
#include "larder/swarm/piece_server.h"

namespace larder::swarm {

// Bytes that look random, the same for the same size.
std::string SomeBytes(size_t size);
Manifest ManifestOf(std::string_view bytes, uint32_t piece_length = 0);

// The sum of a metric's series.
uint64_t MetricValue(observe::Registry& registry, std::string_view metric);

// A source of objects in memory. Thread-safe.
class MemorySource final : public PieceSource {
 public:
  void Add(const object::ObjectId& id, object::Epoch epoch, ServedObject object) LARDER_EXCLUDES(mutex_);
  // The next call of Find fails.
  void RefuseOnce(absl::Status why) LARDER_EXCLUDES(mutex_);
  // `piece_length` is that of objects in one piece of memory only.
  absl::StatusOr<ServedObject> Find(const object::ObjectId& id, object::Epoch epoch, uint32_t piece_length) override
      LARDER_EXCLUDES(mutex_);
  void Doubt(const object::ObjectId& id, object::Epoch epoch, uint64_t offset, uint32_t size) override
      LARDER_EXCLUDES(mutex_);
  // Where the bytes lie that a child doubted first; waits for it, but not for ever.
  std::optional<uint64_t> AwaitDoubt() LARDER_EXCLUDES(mutex_);
  uint64_t doubts() const LARDER_EXCLUDES(mutex_);

 private:
  mutable base::Mutex mutex_;
  absl::Status refusal_ LARDER_GUARDED_BY(mutex_);
  base::CondVar doubted_;
  std::vector<uint64_t> doubts_ LARDER_GUARDED_BY(mutex_);
  std::map<object::ObjectId, std::pair<object::Epoch, ServedObject>> objects_ LARDER_GUARDED_BY(mutex_);
};

// A sealed object in memory; and one whose manifest is of other bytes.
ServedObject Sealed(const std::string& bytes, uint32_t piece_length = 0);
ServedObject SealedWith(const Manifest& manifest, const std::string& bytes);

// Where a fetch puts its bytes, and what it said: in one piece of memory, or in ranges of their own that are joined
// piece by piece once verified. Thread-safe once the fetch is done.
class TestDestination final : public Destination {
 public:
  absl::Status Prepare(const std::shared_ptr<const Manifest>& manifest,
                       const std::shared_ptr<PieceMap>& pieces) override;
  base::MutableByteSpan At(uint64_t offset, uint64_t size) override;
  absl::Status Verified(uint32_t piece) override;

  std::vector<uint64_t> range_sizes;  // in turn; none: one piece. Before the fetch begins
  std::string bytes;
  std::vector<uint32_t> verified;  // in order
  std::shared_ptr<PieceMap> pieces;
  std::shared_ptr<const Manifest> manifest;
  std::function<void()> prepared;  // called at the end of Prepare
  std::function<void(uint32_t)> on_verified;

 private:
  std::map<uint64_t, std::string> ranges_;  // by the first byte's offset
};
// Sizes of ranges that end within frames, and several within one.
inline const std::vector<uint64_t> kRaggedRanges = {1, 4095, 7, 262'139, 65'537, 13, 99'991, 524'287};

// The kernel's time, which is asked for a few times in each round of a loop: so it is known whether one goes round and
// round.
class CountingClock final : public base::Clock {
 public:
  base::MonotonicTime Now() const override {
    ++asked_;
    return clock_.Now() + skipped_.load();
  }
  base::MonotonicTime BootNow() const override { return clock_.BootNow(); }
  base::WallTime WallNow() const override { return clock_.WallNow(); }
  uint64_t asked() const { return asked_; }
  // As if what goes on now took so long.
  void Skip(base::Duration time) { skipped_ = skipped_.load() + time; }

 private:
  const base::SystemClock clock_;
  mutable std::atomic<uint64_t> asked_ = 0;
  std::atomic<base::Duration> skipped_{};
};
// Far more than loops ask in a second in which they have little to do, far less than one that does not wait.
inline constexpr uint64_t kManyRounds = 3000;

// A node that serves what its source has.
struct TestParent {
  static constexpr NodeEpoch kNodeEpoch{3};
  explicit TestParent(std::string node_name, PieceServerOptions options = {});
  // A parent of `id` for a fetch, with a ticket.
  Parent Offer(const object::ObjectId& id, object::Epoch epoch) const;

  std::string node;
  CountingClock clock;
  observe::Registry registry;
  Metrics metrics{registry};
  RateLimiter limiter;
  TicketSigner tickets;
  MemorySource source;
  std::unique_ptr<PieceServer> server;
};

// A node that fetches.
struct TestChild {
  explicit TestChild(FetcherOptions options = {});
  // Begins; the result is waited for by Await.
  std::shared_ptr<Fetch> Begin(FetchRequest request);
  FetchResult Await();
  FetchResult Run(FetchRequest request);
  uint64_t Value(std::string_view metric) { return MetricValue(registry, metric); }

  CountingClock clock;
  observe::Registry registry;
  Metrics metrics{registry};
  base::Mutex mutex;
  base::CondVar changed;
  std::optional<FetchResult> result LARDER_GUARDED_BY(mutex);
  std::vector<ParentFailure> failures LARDER_GUARDED_BY(mutex);
  std::unique_ptr<Fetcher> fetcher;  // first to go: it calls back while it stops
};

inline const object::ObjectId kObject{"training", "models/a"};
inline constexpr object::Epoch kEpoch{7};

}  // namespace larder::swarm
