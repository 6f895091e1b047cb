#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"

namespace larder::swarm {

// What a transfer is for; the first goes first where a limit is short.
enum class TransferClass : uint8_t { kForeground = 0, kAck = 1, kRepair = 2, kWarmUp = 3 };
inline constexpr uint8_t kTransferClasses = 4;

// A token bucket of bytes that holds 100 ms' worth at most. Who is of a lower class must leave some of it: 1/4 for each
// class before it. So what others leave over is theirs; and where these keep it empty, each lower class still gets 5 %
// of the rate, which all owe. Repair never takes more than 30 % of the rate, over a second. Thread-safe.
class RateLimiter {
 public:
  // Bytes per second; 0: no limit.
  explicit RateLimiter(uint64_t rate = 0) : rate_(rate) {}
  void SetRate(uint64_t rate) LARDER_EXCLUDES(mutex_);
  // What one of many who share the limit should move at once, of `most` bytes: so that each of 64 that take turns moves
  // something each second, where the rate allows that at all.
  uint64_t Portion(uint64_t most) const LARDER_EXCLUDES(mutex_);

  struct Grant {
    uint64_t bytes = 0;             // that may be moved now: 0 or `want`
    base::MonotonicTime try_again;  // when it is 0
  };
  // `want` bytes of `transfer_class`, all or nothing. Of more than a quarter of what the bucket holds, only that must
  // be there; the rest is owed, so that the rate holds whatever the sizes.
  Grant Take(TransferClass transfer_class, uint64_t want, base::MonotonicTime now) LARDER_EXCLUDES(mutex_);
  // Bytes that were taken and not moved.
  void GiveBack(TransferClass transfer_class, uint64_t bytes) LARDER_EXCLUDES(mutex_);

 private:
  struct Bucket {
    double tokens = 0;  // below 0: owed
    base::MonotonicTime filled;
    bool begun = false;
  };
  static void Fill(Bucket& bucket, double rate, base::MonotonicTime now);
  // Until a filled bucket has `bytes`, or all that it holds.
  static double SecondsUntil(const Bucket& bucket, double rate, double bytes);

  mutable base::Mutex mutex_;
  uint64_t rate_ LARDER_GUARDED_BY(mutex_);
  Bucket all_ LARDER_GUARDED_BY(mutex_);
  Bucket repair_ LARDER_GUARDED_BY(mutex_);
  std::array<Bucket, kTransferClasses> shares_ LARDER_GUARDED_BY(mutex_);  // that the lower classes get in any case
};

}  // namespace larder::swarm
