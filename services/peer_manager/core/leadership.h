#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "core/node.h"
#include "larder/base/clock.h"

namespace larder::peer_manager {

// Who has the lease of the managers.
struct LeaderLease {
  std::string holder;
  Term term;
  base::Duration left{};  // until it ends
};

// Whether this manager leads: it holds the tracker's lease, and is sure of it by its own clock, which began to count
// before the tracker's did and stops a tenth early. A lease that was not renewed in time is never taken up again: the
// next one is a new term, so that whatever was asked in the old one is refused.
//
// Pure: the time is the caller's (base::Clock::BootNow). One thread at a time.
class Leadership {
 public:
  // `self`: the holder's name, of no other manager. `ttl`: of the lease.
  Leadership(std::string self, base::Duration ttl) : self_(std::move(self)), ttl_(ttl) {}

  // What to ask the tracker now; one question is under way at a time, until its answer is told below.
  enum class Ask : uint8_t { kNothing, kLook, kGrant, kRenew };
  Ask Next(base::MonotonicTime now);
  // nullopt: nobody has it.
  void OnLooked(const absl::StatusOr<std::optional<LeaderLease>>& lease, base::MonotonicTime now);
  void OnGranted(const absl::StatusOr<Term>& term, base::MonotonicTime now);
  void OnRenewed(const absl::Status& renewed, base::MonotonicTime now);

  // Something was refused because the lease is another's; or it is given back, or for a new term.
  void Lose();

  bool Leads(base::MonotonicTime now) const { return term_.value != 0 && now < until_; }
  // Its own; 0 unless it leads, or did just now.
  Term term() const { return term_; }
  // Who leads as far as is known: itself, or who did when it looked, not longer ago than a lease lasts.
  std::optional<LeaderLease> Leader(base::MonotonicTime now) const;

 private:
  void LookAgain(base::MonotonicTime at);

  const std::string self_;
  const base::Duration ttl_;

  Term term_;
  base::MonotonicTime until_{};
  Ask under_way_ = Ask::kNothing;
  base::MonotonicTime asked_at_{};
  Ask next_ = Ask::kLook;
  base::MonotonicTime next_at_{};
  std::optional<LeaderLease> seen_;
  base::MonotonicTime seen_at_{};
};

}  // namespace larder::peer_manager
