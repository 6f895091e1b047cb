#pragma once
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/object/transport.h"
#include "src/fork_mark.h"
#include "src/socket.h"
#include "src/wire.h"

namespace larder::transport::uds {

struct Reply {
  std::vector<std::byte> payload;
  std::vector<base::UniqueFd> fds;
};

// A record's payload, and the memory that it lies in: whoever keeps a part of it keeps that.
struct Record {
  std::shared_ptr<const std::byte[]> memory;
  base::ByteSpan payload;
};

// Takes what must be looked at in the order of its coming, whoever reads it. Called by the reading thread, so it must
// not ask the agent anything itself.
class Absorber {
 public:
  virtual ~Absorber() = default;
  // The descriptors of a reply: a later reply may speak of segments that came with an earlier one which its own caller
  // has not looked at yet. Of a BATCH, each item's answer apart; `fds` are those that nobody took.
  virtual void Absorb(Op op, base::ByteSpan payload, std::vector<base::UniqueFd>& fds) = 0;
  // A record of the agent's own.
  virtual void Notice(Op op, base::ByteSpan payload) = 0;
};

// The client's end of one connection: pipelined requests, answered in any order. There is no reading thread: one of the
// callers who wait reads for all. Thread-safe. Once broken it stays so. In a forked child it is broken from the start,
// and takes no lock: the parent's other threads may have held any.
class Link {
 public:
  Link(base::UniqueFd fd, Absorber& absorber);

  static bool Fits(size_t payload) { return payload <= kMaxRecord - kHeaderSize; }

  // A request's number, to Wait for. `absorb`: its descriptors go to the Absorber. Blocks while the agent takes no
  // requests, until `deadline`. INVALID_ARGUMENT (TOO_LONG) for what does not fit a record.
  absl::StatusOr<uint64_t> Begin(Op op, base::ByteSpan payload, base::ByteSpan tail = {}, bool absorb = false,
                                 base::Deadline deadline = base::kNoDeadline) LARDER_EXCLUDES(mutex_);
  // Its answer, or the error it carries. After DEADLINE_EXCEEDED the link is broken: what the request did is unknown,
  // and the connection's end undoes it.
  absl::StatusOr<Reply> Wait(uint64_t id, base::Deadline deadline = base::kNoDeadline) LARDER_EXCLUDES(mutex_);
  absl::StatusOr<Reply> Call(Op op, base::ByteSpan payload, base::Deadline deadline = base::kNoDeadline,
                             base::ByteSpan tail = {}, bool absorb = false);
  // A BATCH of `count` items, encoded in `items` without their number; `absorb`: they are GETs.
  absl::StatusOr<uint64_t> BeginBatch(uint16_t count, base::ByteSpan items, bool absorb, base::Deadline deadline);
  // Its answers, appended to `answers`; some of them also when it fails.
  absl::Status WaitBatch(uint64_t id, base::Deadline deadline, std::vector<Record>& answers) LARDER_EXCLUDES(mutex_);
  // A request without an answer; best effort. Never blocks: what an agent does not take now goes out ahead of the next
  // request, or at SendUntold.
  void Tell(Op op, base::ByteSpan payload, base::ByteSpan tail = {}) LARDER_EXCLUDES(mutex_);
  // Tell, that waits for the answer until `deadline`. Without one in time the link lives on: for what the agent reads
  // no memory of the client for.
  void TellAndWait(Op op, base::ByteSpan payload, base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  // Sends what Tell could not, as far as the agent takes it now: UNAVAILABLE (WOULD_BLOCK) if that is not all.
  absl::Status SendUntold() LARDER_EXCLUDES(mutex_);

  // Reads what has come, if nobody else is reading: records of the agent's own, or the end of the connection, that
  // otherwise lie there until somebody waits for an answer. Never blocks.
  void ReadWhatCame() LARDER_EXCLUDES(mutex_);
  // Nothing more can be asked: it is broken, or the agent has hung up, though answers may still lie there to be read.
  // Asks the kernel.
  bool AtEnd() const;

  bool broken() const { return lost() || InChild(); }
  // Without looking whether this is a forked child.
  bool lost() const { return broken_.load(std::memory_order_relaxed); }
  // The agent takes nothing more, though what it said before may still lie there to be read.
  bool hung_up() const { return hung_up_.load(std::memory_order_relaxed); }
  // Fails everybody who waits.
  void Break() LARDER_EXCLUDES(mutex_);
  bool InChild() const { return fork_.InChild(); }
  // In a forked child: closes its descriptor, which alone says nothing to the agent.
  void CloseInChild() { fd_.Reset(); }

 private:
  struct Slot {
    bool absorb = false;
    bool done = false;
    uint32_t code = 0;
    Reply reply;
    size_t unanswered = 0;  // items of a BATCH
    std::vector<Record> answers;
  };
  absl::StatusOr<uint64_t> Start(Op op, base::ByteSpan payload, base::ByteSpan tail, Slot slot, base::Deadline deadline)
      LARDER_EXCLUDES(mutex_);
  enum class Late { kBreaks, kIsForgotten };
  // The slot of a request, answered or, if this fails, as far as it got.
  absl::Status Await(uint64_t id, base::Deadline deadline, Slot& slot, Late late = Late::kBreaks)
      LARDER_EXCLUDES(mutex_);
  absl::Status Send(Op op, uint64_t id, base::ByteSpan payload, base::ByteSpan tail, base::Deadline deadline);
  // Waits until the socket may take more, reading meanwhile if nobody else does: the agent takes nothing from who does
  // not read what it has sent.
  absl::Status MakeRoom(base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  bool BeginReading() LARDER_EXCLUDES(mutex_);
  void EndReading(const absl::Status& read, size_t own) LARDER_REQUIRES(mutex_);
  // Reads one record for whoever it is for. OK also when `deadline` passed without one.
  absl::Status ReadOne(base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  absl::Status Deliver(Received received) LARDER_EXCLUDES(mutex_);
  absl::Status DeliverBatch(Slot& slot, base::ByteSpan payload, std::vector<base::UniqueFd>& fds)
      LARDER_REQUIRES(mutex_);
  absl::Status Lost() const;

  base::UniqueFd fd_;
  Absorber& absorber_;
  const ForkMark fork_;  // a forked child must not speak on its parent's connection
  const bool spin_;
  std::atomic<bool> broken_{false};
  std::atomic<bool> hung_up_{false};
  std::atomic<uint64_t> next_id_{1};
  std::shared_ptr<std::byte[]> buffer_;  // the reader's, kMaxRecord bytes

  base::Mutex mutex_;
  base::CondVar changed_;
  bool reading_ LARDER_GUARDED_BY(mutex_) = false;
  std::map<uint64_t, Slot> slots_ LARDER_GUARDED_BY(mutex_);
  std::deque<std::vector<std::byte>> untold_ LARDER_GUARDED_BY(mutex_);  // records, oldest first
  std::atomic<bool> has_untold_{false};
};

}  // namespace larder::transport::uds
