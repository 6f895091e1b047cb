#pragma once
#include <functional>
#include <string>

#include "larder/base/bytes.h"
#include "larder/raft/types.h"

namespace larder::raft {

// Carries the engine's messages between members. Messages may be lost, never altered; those to one member arrive in
// order or not at all. Thread-safe.
class Transport {
 public:
  // A member's message arrived; on a thread of the transport.
  using Receive = std::function<void(MemberId from, std::string message)>;
  // Messages to this member were dropped: it is not there, or takes too long.
  using Unreachable = std::function<void(MemberId to)>;

  virtual ~Transport() = default;
  // Queues and returns. What does not fit the member's queue is dropped, and reported.
  virtual void Send(MemberId to, std::string message) = 0;
};

}  // namespace larder::raft
