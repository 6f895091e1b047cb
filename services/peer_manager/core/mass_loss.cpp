#include "core/mass_loss.h"

#include <algorithm>

namespace larder::peer_manager {
namespace {

constexpr size_t kFewest = 2;  // one of three is no mass
constexpr int kSessionsKept = 6;

bool IsMany(size_t gone, size_t live) { return gone >= kFewest && 10 * gone > 3 * (live + gone); }

}  // namespace

void MassLoss::Look(size_t live, base::MonotonicTime now) {
  std::erase_if(vanished_, [&](const auto& item) { return now - item.second >= kSessionsKept * session_; });
  if (on_) {
    on_ = IsMany(vanished_.size(), live);
    return;
  }
  const auto lately = std::ranges::count_if(vanished_, [&](const auto& item) { return now - item.second < session_; });
  on_ = IsMany(static_cast<size_t>(lately), live);
}

}  // namespace larder::peer_manager
