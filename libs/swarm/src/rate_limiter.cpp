#include "larder/swarm/rate_limiter.h"

#include <algorithm>
#include <chrono>

namespace larder::swarm {
namespace {

constexpr double kBurstSeconds = 0.1;
constexpr double kRepairShare = 0.3;
constexpr double kLeastShare = 0.05;
constexpr uint64_t kTurnsASecond = 64;
constexpr uint64_t kLeastPortion = 4096;

base::Duration Seconds(double seconds) {
  return std::chrono::ceil<base::Duration>(std::chrono::duration<double>(std::min(seconds, 3600.0)));
}

}  // namespace

void RateLimiter::SetRate(uint64_t rate) {
  base::MutexLock lock(mutex_);
  rate_ = rate;
  all_ = repair_ = {};
  shares_ = {};
}

uint64_t RateLimiter::Portion(uint64_t most) const {
  base::MutexLock lock(mutex_);
  return rate_ == 0 ? most : std::min(most, std::max(rate_ / kTurnsASecond, kLeastPortion));
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

double RateLimiter::SecondsUntil(const Bucket& bucket, double rate, double bytes) {
  return std::max(0.0, (std::min(rate * kBurstSeconds, bytes) - bucket.tokens) / rate);
}

RateLimiter::Grant RateLimiter::Take(TransferClass transfer_class, uint64_t want, base::MonotonicTime now) {
  base::MutexLock lock(mutex_);
  if (rate_ == 0) return {.bytes = want};
  const auto rate = static_cast<double>(rate_);
  const auto wanted = static_cast<double>(want);
  const auto number = static_cast<uint8_t>(transfer_class);
  const bool lower = transfer_class != TransferClass::kForeground;
  const bool repair = transfer_class == TransferClass::kRepair;
  Bucket& share = shares_[number];
  Fill(all_, rate, now);
  Fill(share, rate * kLeastShare, now);
  Fill(repair_, rate * kRepairShare, now);
  // Beside what it takes, it must leave what is of the classes before it; more than its own quarter, it owes.
  const double quarter = rate * kBurstSeconds / kTransferClasses;
  double wait = SecondsUntil(all_, rate, number * quarter + std::min(wanted, quarter));
  const bool of_share = lower && wait > 0;
  if (of_share) wait = std::min(wait, SecondsUntil(share, rate * kLeastShare, wanted));
  if (repair) wait = std::max(wait, SecondsUntil(repair_, rate * kRepairShare, wanted));
  if (wait > 0) return {.bytes = 0, .try_again = base::DeadlineAfter(now, Seconds(wait))};
  all_.tokens -= wanted;
  if (repair) repair_.tokens -= wanted;
  // What is plenty also counts towards the share, but nothing of it is owed.
  share.tokens -= of_share ? wanted : std::clamp(share.tokens, 0.0, wanted);
  return {.bytes = want};
}

void RateLimiter::GiveBack(TransferClass transfer_class, uint64_t bytes) {
  base::MutexLock lock(mutex_);
  const auto back = static_cast<double>(bytes);
  all_.tokens += back;
  if (transfer_class == TransferClass::kRepair) repair_.tokens += back;
  Bucket& share = shares_[static_cast<uint8_t>(transfer_class)];
  share.tokens = std::min(static_cast<double>(rate_) * kLeastShare * kBurstSeconds, share.tokens + back);
}

}  // namespace larder::swarm
