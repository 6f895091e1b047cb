#include "larder/swarm/rate_limiter.h"

#include <algorithm>
#include <chrono>

namespace larder::swarm {
namespace {

constexpr double kBurstSeconds = 0.1;
constexpr double kRepairShare = 0.3;

base::Duration Seconds(double seconds) {
  return std::chrono::ceil<base::Duration>(std::chrono::duration<double>(std::min(seconds, 3600.0)));
}

}  // namespace

void RateLimiter::SetRate(uint64_t rate) {
  base::MutexLock lock(mutex_);
  rate_ = rate;
  all_ = repair_ = {};
}

void RateLimiter::Fill(Bucket& bucket, double rate, base::MonotonicTime now) {
  const double most = rate * kBurstSeconds;
  if (!bucket.begun) {
    bucket = {.tokens = most, .filled = now, .begun = true};
  } else if (now > bucket.filled) {
    const double passed = std::chrono::duration<double>(now - bucket.filled).count();
    bucket.tokens = std::min(most, bucket.tokens + passed * rate);
    bucket.filled = now;
  }
}

RateLimiter::Grant RateLimiter::Take(TransferClass transfer_class, uint64_t want, base::MonotonicTime now) {
  base::MutexLock lock(mutex_);
  if (rate_ == 0) return {.bytes = want};
  const auto rate = static_cast<double>(rate_);
  const auto wanted = static_cast<double>(want);
  base::Duration wait{};
  // Seconds until `bucket` has what is wanted beside what must be left in it.
  const auto await = [&](Bucket& bucket, double bucket_rate, double left) {
    Fill(bucket, bucket_rate, now);
    const double most = bucket_rate * kBurstSeconds;
    const double missing = std::min(most, wanted + left) - bucket.tokens;
    if (missing > 0) wait = std::max(wait, Seconds(missing / bucket_rate));
  };
  await(all_, rate, rate * kBurstSeconds * static_cast<uint8_t>(transfer_class) / kTransferClasses);
  const bool repair = transfer_class == TransferClass::kRepair;
  if (repair) await(repair_, rate * kRepairShare, 0);
  if (wait > base::Duration::zero()) return {.bytes = 0, .try_again = base::DeadlineAfter(now, wait)};
  all_.tokens -= wanted;
  if (repair) repair_.tokens -= wanted;
  return {.bytes = want};
}

void RateLimiter::GiveBack(TransferClass transfer_class, uint64_t bytes) {
  base::MutexLock lock(mutex_);
  all_.tokens += static_cast<double>(bytes);
  if (transfer_class == TransferClass::kRepair) repair_.tokens += static_cast<double>(bytes);
}

}  // namespace larder::swarm
