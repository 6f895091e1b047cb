#pragma once
#include <string>
#include <vector>

#include "tests/faults/fault_test.h"
#include "tests/faults/hostile.h"

namespace larder::cache_agent {

// An agent, honest clients, and a hostile one in a process and a pod of its own.
class HostileTest : public FaultTest {
 protected:
  // It lives in `cgroup`, if that is not empty.
  ChildProcess Hostile(const std::string& cgroup = "") const;
  // Connected in a namespace.
  ChildProcess HostileIn(const std::string& ns) const;
  // More than the arena holds, each in the place of the last, of nothing but kMarker; in objects and in windows.
  void FillWithMarker(client::Client& client) const;
};

// Eight bytes that are in nothing but what FillWithMarker puts.
inline constexpr char kMarker[] = "HoNeSt!/";

}  // namespace larder::cache_agent
