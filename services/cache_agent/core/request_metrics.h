#pragma once
#include <absl/status/status.h>

#include <array>
#include <atomic>
#include <string_view>

#include "larder/base/clock.h"
#include "larder/observe/registry.h"

namespace larder::cache_agent {

enum class Op : uint8_t {
  kOpen,  // of a session
  kCreate,
  kAppend,
  kSeal,
  kDiscard,
  kGet,
  kRelease,
  kRenew,
  kStat,
  kList,
  kDelete,
  kPin,
};
inline constexpr size_t kOps = 12;
std::string_view LabelText(Op op);

// Which store answered; kNone for what needs none of them.
enum class Tier : uint8_t { kNone, kHot, kWarm, kCold };
inline constexpr size_t kTiers = 4;
std::string_view LabelText(Tier tier);
// kNone for an unknown name.
Tier TierOf(std::string_view name);

// What was counted since the start.
struct RequestTotals {
  struct Count {
    uint64_t ok = 0;
    uint64_t failed = 0;
  };
  std::array<Count, kOps> requests;  // by Op
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
};

// The requests of an agent's clients. Thread-safe; cheap enough for every request.
class RequestMetrics {
 public:
  explicit RequestMetrics(observe::Registry& registry);
  void Done(Op op, Tier tier, absl::StatusCode code, base::Duration took);
  // A get that was answered with an object of `bytes`.
  void Hit(Tier tier, uint64_t bytes);
  void Miss() { misses_.Increment(); }
  // An object of `bytes` was sealed.
  void Sealed(uint64_t bytes) { bytes_in_.Increment(bytes); }
  RequestTotals Totals() const;

 private:
  static constexpr size_t kCodes = 17;
  // A series is looked up under a lock, once.
  template <typename Metric>
  using Known = std::atomic<Metric*>;

  observe::Counters<Op, absl::StatusCode> requests_;
  observe::Histograms<Op, Tier> seconds_;
  observe::Counters<Tier> hits_;
  observe::Counter& misses_;
  observe::Counter& bytes_in_;
  observe::Counter& bytes_out_;
  std::array<std::array<Known<observe::Counter>, kCodes>, kOps> known_requests_{};
  std::array<std::array<Known<observe::Histogram>, kTiers>, kOps> known_seconds_{};
  std::array<Known<observe::Counter>, kTiers> known_hits_{};
};

}  // namespace larder::cache_agent
