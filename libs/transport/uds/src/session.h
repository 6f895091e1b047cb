#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/object/transport.h"
#include "src/link.h"
#include "src/messages.h"
#include "src/segments.h"

namespace larder::transport::uds {

class Keeper;
class Session;

// The slots of a connection's ring, through which its writers' bytes pass. Thread-safe.
class Ring {
 public:
  // Small enough that the agent copies the first one while the client still fills the next.
  static constexpr uint64_t kSlot = 256 * 1024;
  static constexpr uint64_t kSlots = 16;

  explicit Ring(Link& link) : link_(link) {}
  // A slot for one writer, to be given back when the agent has copied it. None if all are taken, or the agent gives no
  // ring; DEADLINE_EXCEEDED if it does not answer whether it does.
  absl::StatusOr<std::optional<uint64_t>> Take(base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  void Give(uint64_t slot) LARDER_EXCLUDES(mutex_);
  base::MutableByteSpan bytes(uint64_t slot) const { return {mapping_->data() + slot * kSlot, kSlot}; }
  // Unmaps it if nobody has written since the last call; its segments are for UNMAPPED.
  Unwanted ReturnIdle() LARDER_EXCLUDES(mutex_);
  // Takes its own segments out of `asked`, which the agent asks back, and unmaps it unless a slot is in use.
  Unwanted AskedBack(std::vector<uint32_t>& asked) LARDER_EXCLUDES(mutex_);
  // The connection has ended: unmaps it, or gives what writers still have of it.
  std::weak_ptr<const Mapping> Leave() LARDER_EXCLUDES(mutex_);

 private:
  // OK also when it is refused.
  absl::Status Open(base::Deadline deadline) LARDER_REQUIRES(mutex_);
  Unwanted Close() LARDER_REQUIRES(mutex_);
  bool idle() const LARDER_REQUIRES(mutex_) { return mapping_ != nullptr && free_.size() == kSlots; }
  Link& link_;
  base::Mutex mutex_;
  std::shared_ptr<const Mapping> mapping_;  // set under the lock, by whoever takes the first slot
  std::vector<uint32_t> segments_ LARDER_GUARDED_BY(mutex_);
  std::vector<uint64_t> free_ LARDER_GUARDED_BY(mutex_);
  bool used_ LARDER_GUARDED_BY(mutex_) = false;
  bool refused_ LARDER_GUARDED_BY(mutex_) = false;  // until the next ReturnIdle
};

// One connection to an agent; shared by the channel, readers and writers that use it.
class Session final : public Absorber {
 public:
  // Connects and says HELLO with the bytes `earlier` agents left mapped. UNAVAILABLE (NO_AGENT) if nobody is there, or
  // does not answer until `deadline`.
  static std::shared_ptr<Session> Make(Keeper& keeper, base::UniqueFd fd);
  absl::Status Greet(const std::string& ns, uint64_t earlier, base::Deadline deadline);

  void Absorb(Op op, base::ByteSpan payload, std::vector<base::UniqueFd>& fds) override;
  void Notice(Op op, base::ByteSpan payload) override;

  // Memory to write to, shared with the agent: a creation's own window. RESOURCE_EXHAUSTED when there is none.
  absl::StatusOr<std::shared_ptr<const Mapping>> OpenWindow(object::LeaseId lease, uint64_t size,
                                                            base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  // The connection has ended: what writers still have mapped of its ring and windows.
  std::vector<std::weak_ptr<const Mapping>> Leave() LARDER_EXCLUDES(mutex_);
  void Release(object::LeaseId lease);

  Link link;
  Ring ring{link};
  Welcome welcome;

 private:
  Session(Keeper& keeper, base::UniqueFd fd) : link(std::move(fd), *this), keeper_(keeper) {}
  Keeper& keeper_;
  base::Mutex mutex_;
  std::vector<std::weak_ptr<const Mapping>> windows_ LARDER_GUARDED_BY(mutex_);
};

// Asks for a window (`lease` 0: the ring) and maps it; RESOURCE_EXHAUSTED when there is none to be had. `segments` gets
// their ids.
absl::StatusOr<std::shared_ptr<const Mapping>> MapWindow(Link& link, object::LeaseId lease, uint64_t size,
                                                         base::Deadline deadline, std::vector<uint32_t>& segments);

// A call that may wait at most until `deadline`: what to tell the agent, and how long to wait for its answer.
uint32_t WaitMs(base::Deadline deadline);
base::Deadline AnswerBy(base::Deadline deadline);

}  // namespace larder::transport::uds
