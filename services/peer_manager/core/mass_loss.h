#pragma once
#include <map>
#include <string>

#include "larder/base/clock.h"

namespace larder::peer_manager {

// Whether many nodes vanished at once: a switch or a zone, rather than nodes. It is on once at least two, and more than
// 30 % of those that were live, vanished within one session, and stays on while more than 30 % of them are away that
// vanished within the last six. Pure. One thread at a time.
class MassLoss {
 public:
  explicit MassLoss(base::Duration session) : session_(session) {}

  void Vanished(const std::string& node, base::MonotonicTime now) { vanished_[node] = now; }
  void Back(const std::string& node) { vanished_.erase(node); }
  // `live`: how many there are.
  void Look(size_t live, base::MonotonicTime now);
  bool is_on() const { return on_; }

 private:
  const base::Duration session_;
  std::map<std::string, base::MonotonicTime> vanished_;  // and not back
  bool on_ = false;
};

}  // namespace larder::peer_manager
