#include "core/leadership.h"

#include <algorithm>
#include <utility>

#include "larder/base/status.h"

namespace larder::peer_manager {
namespace {

constexpr int kRenewals = 3;    // within a lease
constexpr int kLooks = 5;       // ditto, of those who do not lead
constexpr int kRetries = 20;    // ditto, of what failed
constexpr int kSafeTenths = 9;  // of a lease: clocks of two machines do not run alike

}  // namespace

Leadership::Ask Leadership::Next(base::MonotonicTime now) {
  if (term_.value != 0 && !Leads(now)) Lose();
  if (under_way_ != Ask::kNothing || now < next_at_) return Ask::kNothing;
  asked_at_ = now;
  return under_way_ = next_;
}

void Leadership::LookAgain(base::MonotonicTime at) {
  next_ = Ask::kLook;
  next_at_ = at;
}

void Leadership::OnLooked(const absl::StatusOr<std::optional<LeaderLease>>& lease, base::MonotonicTime now) {
  under_way_ = Ask::kNothing;
  if (!lease.ok()) return LookAgain(now + ttl_ / kRetries);
  seen_ = *lease;
  seen_at_ = now;
  // Its own of an earlier term is over as soon as the next is granted.
  if (!seen_ || seen_->holder == self_) {
    next_ = Ask::kGrant;
    next_at_ = now;
    return;
  }
  LookAgain(now + std::clamp(seen_->left, ttl_ / kRetries, ttl_ / kLooks));
}

void Leadership::OnGranted(const absl::StatusOr<Term>& term, base::MonotonicTime now) {
  under_way_ = Ask::kNothing;
  if (!term.ok()) return LookAgain(now + ttl_ / kRetries);
  term_ = *term;
  until_ = asked_at_ + ttl_ * kSafeTenths / 10;
  next_ = Ask::kRenew;
  next_at_ = asked_at_ + ttl_ / kRenewals;
}

void Leadership::OnRenewed(const absl::Status& renewed, base::MonotonicTime now) {
  under_way_ = Ask::kNothing;
  if (!Leads(now) || base::Reason(renewed) == "TOKEN_STALE") return Lose();
  if (renewed.ok()) until_ = asked_at_ + ttl_ * kSafeTenths / 10;
  next_at_ = renewed.ok() ? asked_at_ + ttl_ / kRenewals : now + ttl_ / kRetries;
}

void Leadership::Lose() {
  term_ = {};
  until_ = {};
  seen_.reset();
  LookAgain({});
}

std::optional<LeaderLease> Leadership::Leader(base::MonotonicTime now) const {
  if (Leads(now)) return LeaderLease{.holder = self_, .term = term_, .left = until_ - now};
  if (!seen_ || now - seen_at_ >= ttl_) return std::nullopt;
  return seen_;
}

}  // namespace larder::peer_manager
