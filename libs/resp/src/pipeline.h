#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "larder/resp/commands.h"

namespace larder::resp {

// The replies that one connection waits for, in the order of its requests, and which call may start beside those in
// flight. Pure; not thread-safe.
class Pipeline {
 public:
  // Whether a read, or a write, may start: nothing of the other kind is in flight.
  bool MayStart(bool write) const { return in_flight_ == 0 || write == writing_; }
  // A reply that is ready, behind those still to come.
  void Add(std::string reply) { slots_.push_back({std::move(reply), false}); }
  // A call that starts; gives the ticket of its reply.
  uint64_t Start(bool write);
  // The reply of a call that was started.
  void Finish(uint64_t ticket, std::string reply);
  // Appends every reply that nothing earlier holds up.
  void TakeReady(std::string& out);

  bool empty() const { return slots_.empty(); }
  size_t size() const { return slots_.size(); }

 private:
  struct Slot {
    std::string reply;
    bool waiting;
  };
  std::deque<Slot> slots_;
  uint64_t first_ticket_ = 0;  // of slots_.front()
  size_t in_flight_ = 0;
  bool writing_ = false;  // what is in flight
};

}  // namespace larder::resp
