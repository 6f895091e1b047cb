#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/object/transport.h"
#include "src/socket.h"
#include "src/wire.h"

namespace larder::transport::uds {

struct Reply {
  std::vector<std::byte> payload;
  std::vector<base::UniqueFd> fds;
};

// Takes the descriptors of replies as they arrive, in their order: a later reply may speak of segments that came with
// an earlier one which its own caller has not looked at yet.
class Absorber {
 public:
  virtual ~Absorber() = default;
  virtual void Absorb(Op op, Reply& reply) = 0;
};

// The client's end of one connection: pipelined requests, answered in any order. There is no reading thread: one of the
// callers who wait reads for all. Thread-safe. Once broken it stays so.
class Link {
 public:
  Link(base::UniqueFd fd, Absorber& absorber);

  // A request's number, to Wait for. `absorb`: its descriptors go to the Absorber.
  absl::StatusOr<uint64_t> Begin(Op op, base::ByteSpan payload, base::ByteSpan tail = {}, bool absorb = false)
      LARDER_EXCLUDES(mutex_);
  // Its answer, or the error it carries. After DEADLINE_EXCEEDED the link is broken: what the request did is unknown,
  // and the connection's end undoes it.
  absl::StatusOr<Reply> Wait(uint64_t id, base::Deadline deadline = base::kNoDeadline) LARDER_EXCLUDES(mutex_);
  absl::StatusOr<Reply> Call(Op op, base::ByteSpan payload, base::Deadline deadline = base::kNoDeadline,
                             base::ByteSpan tail = {}, bool absorb = false);
  // A request without an answer; best effort.
  void Tell(Op op, base::ByteSpan payload);

  bool broken() const { return broken_.load(std::memory_order_relaxed); }
  // Fails everybody who waits.
  void Break() LARDER_EXCLUDES(mutex_);

 private:
  struct Slot {
    bool absorb = false;
    bool done = false;
    uint32_t code = 0;
    Reply reply;
  };
  absl::Status Send(Op op, uint64_t id, base::ByteSpan payload, base::ByteSpan tail);
  // Reads one record for whoever it is for. OK also when `deadline` passed without one.
  absl::Status ReadOne(base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  absl::Status Lost() const;

  base::UniqueFd fd_;
  Absorber& absorber_;
  const int owner_pid_;  // a forked child must not speak on its parent's connection
  const bool spin_;
  std::atomic<bool> broken_{false};
  std::atomic<uint64_t> next_id_{1};
  std::vector<std::byte> buffer_;  // the reader's

  base::Mutex mutex_;
  base::CondVar changed_;
  bool reading_ LARDER_GUARDED_BY(mutex_) = false;
  std::map<uint64_t, Slot> slots_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::transport::uds
