#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "larder/base/clock.h"
#include "larder/object/peer.h"
#include "larder/tracker/v1/tracker.pb.h"

namespace larder::cache_agent {

// What is to be called once no lock is held.
using Completions = std::vector<std::function<void()>>;

// A command to the tracker and who waits for its result.
struct AskedCommand {
  tracker::v1::Command command;
  std::string object;  // commands of one object are done in their order; empty: of none
  base::Deadline deadline = base::kNoDeadline;
  bool stays = false;  // is done though nobody waits for it any more
  // Once it was sent, `done` waits for the outcome, beyond the deadline: who asks again meanwhile might do it twice,
  // with something else in between. OUTCOME_UNKNOWN says that nobody can know any more.
  bool certain = false;
  // Empty once it was told, or if nobody wants to know.
  object::Done<absl::StatusOr<tracker::v1::Result>> done;

  // Of CommandBatches:
  absl::Status why;    // why it was not done when it was last sent
  bool alone = false;  // in a batch of its own
  size_t bytes = 0;
};

// Commands on their way to the tracker: queued, then in batches, each a request with an id under which it may be sent
// again. A batch whose outcome is unknown is sent until somebody knows it; one that did nothing goes back into the
// queue. No clock, no I/O, no threads.
class CommandBatches {
 public:
  struct Limits {
    size_t commands = 16384;         // queued or under way
    size_t bytes = 16 << 20;         // likewise
    size_t batch_commands = 256;     // of one request
    size_t batch_bytes = 1 << 20;    // likewise
    size_t batches = 8;              // under way
    uint64_t sequences_ahead = 512;  // of the oldest under way; the tracker's window is 1024
  };
  // Hears of results before whoever waits.
  class Observer {
   public:
    virtual ~Observer() = default;
    // `asked.done` is empty if nobody waits (any more). May call Add.
    virtual void OnResult(const AskedCommand& asked, const tracker::v1::Result& result) = 0;
    virtual void OnSessionLost(uint64_t session) = 0;
  };

  // Borrows the observer.
  CommandBatches(const Limits& limits, Observer& observer) : limits_(limits), observer_(observer) {}

  bool full() const { return count_ >= limits_.commands || bytes_ >= limits_.bytes; }
  // Also when it is full.
  void Add(AskedCommand asked);

  struct Request {
    uint64_t sequence = 0;  // above 0; what the answer is told by
    tracker::v1::ApplyRequest apply;
  };
  // The next request to send, if there is one now; a new one as `actor` and in that session.
  std::optional<Request> Next(const tracker::v1::NodeRef& actor, uint64_t session, base::MonotonicTime now);
  // The answer to the request of that sequence.
  void OnApplied(uint64_t sequence, const tracker::v1::ApplyResponse& response, Completions& completions);
  void OnFailure(uint64_t sequence, const absl::Status& failure, base::MonotonicTime now, Completions& completions);
  // Nothing that was sent and not answered will be.
  void OnLinkLost();

  // Tells those whose time is over: `nobody` is why what was never sent was not. Looks at all; when to look again.
  base::Deadline Expire(base::MonotonicTime now, const absl::Status& nobody, Completions& completions);
  // Requests that are sent and not answered.
  size_t in_flight() const;
  bool empty() const { return count_ == 0; }

 private:
  struct Batch {
    std::vector<AskedCommand> commands;
    uint64_t session = 0;
    bool sent = false;     // and not answered
    bool unknown = false;  // it may have been done
    int failures = 0;
    base::MonotonicTime again;
  };
  using Batches = std::map<uint64_t, Batch>;

  Batches::iterator Resendable(base::MonotonicTime now);
  Batches::iterator Form(const tracker::v1::NodeRef& actor, uint64_t session);
  bool MayForm(base::MonotonicTime now) const;
  // Its commands are over but for those in `again`, which are queued once more, before all others.
  void End(Batches::iterator batch, std::vector<AskedCommand> again);
  // Behind `again`, what waited for the object's commands.
  void AppendWaiting(const std::string& object, std::vector<AskedCommand>& again);
  void QueueFirst(std::vector<AskedCommand> again);
  void Forget(const AskedCommand& asked);
  void OnSessionRefused(Batches::iterator batch, Completions& completions);
  void OnNothingDone(Batches::iterator batch, const absl::Status& failure, base::MonotonicTime now,
                     Completions& completions);
  // Tells whoever of them is due; drops those that need not stay; when the next is.
  base::Deadline ExpireQueue(std::deque<AskedCommand>& queue, base::MonotonicTime now, const absl::Status& nobody,
                             Completions& completions);

  const Limits limits_;
  Observer& observer_;
  std::deque<AskedCommand> queue_;
  // Objects with commands under way, and what waits for those.
  std::unordered_map<std::string, std::deque<AskedCommand>> busy_;
  Batches batches_;  // by sequence
  uint64_t next_sequence_ = 1;
  int failures_ = 0;  // in a row
  base::MonotonicTime no_new_before_;
  size_t count_ = 0;
  size_t bytes_ = 0;
};

// It may have been done, and a repeat is safe.
absl::Status OutcomeUnknown();

}  // namespace larder::cache_agent
