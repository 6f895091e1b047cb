#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/clock.h"

namespace larder::base {

// Each start pushes its stop; Run, or the destructor, unwinds them last first. So a start that fails half-way stops
// what had started. Not thread-safe. Keep it the last member, so that it is unwound before what its stops use.
class StopStack {
 public:
  using Stop = std::function<void(Deadline)>;
  StopStack() = default;
  StopStack(const StopStack&) = delete;
  StopStack& operator=(const StopStack&) = delete;
  ~StopStack() { Run(kNoDeadline); }
  void Push(std::string name, Stop stop) { stops_.emplace_back(std::move(name), std::move(stop)); }
  // Runs and forgets every stop; a second call does nothing. `deadline` is passed on to each.
  void Run(Deadline deadline);
  bool empty() const { return stops_.empty(); }

 private:
  std::vector<std::pair<std::string, Stop>> stops_;
};

}  // namespace larder::base
