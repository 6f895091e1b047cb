#include "core/node.h"

namespace larder::peer_manager {

std::string_view LabelText(NodeState state) {
  switch (state) {
    case NodeState::kLive:
      return "live";
    case NodeState::kSuspect:
      return "suspect";
    case NodeState::kLost:
      return "lost";
    case NodeState::kDraining:
      return "draining";
  }
  return "unknown";
}

}  // namespace larder::peer_manager
