#include "larder/base/stop_stack.h"

namespace larder::base {

void StopStack::Run(Deadline deadline) {
  while (!stops_.empty()) {
    const Stop stop = std::move(stops_.back().second);
    stops_.pop_back();
    stop(deadline);
  }
}

}  // namespace larder::base
