#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "core/cluster_registry.h"
#include "larder/base/clock.h"
#include "larder/object/peer.h"
#include "larder/tracker/v1/tracker.pb.h"
#include "rpc/command_batches.h"

namespace larder::cache_agent {

// Where objects are, asked for many at once: each question's ids in as few requests as there is room for. They may be
// asked again at will. No clock, no I/O, no threads.
class LocateBatches {
 public:
  using Located = object::Done<absl::StatusOr<std::vector<tracker::v1::LocatedObject>>>;
  struct Limits {
    size_t ids = 65536;      // queued or under way
    size_t batch_ids = 256;  // of one request
    size_t batches = 8;      // under way: above 16 a tracker reads nothing more of a stream
  };
  struct Request {
    uint64_t number = 0;  // above 0
    tracker::v1::LocateRequest locate;
  };

  explicit LocateBatches(const Limits& limits) : limits_(limits) {}

  bool full() const { return ids_ >= limits_.ids; }
  // At least one id, none that the tracker refuses. Also when it is full.
  void Add(std::vector<object::ObjectId> ids, base::Deadline deadline, Located done);

  std::optional<Request> Next(base::MonotonicTime now);
  // The answer to the request of that number.
  void OnLocated(uint64_t number, tracker::v1::LocateResponse response, Completions& completions);
  void OnFailure(uint64_t number, const absl::Status& failure, base::MonotonicTime now, Completions& completions);
  // Nothing that was sent and not answered will be.
  void OnLinkLost();
  // Tells those whose time is over why nobody answered. Looks at all; when to look again.
  base::Deadline Expire(base::MonotonicTime now, const absl::Status& nobody, Completions& completions);

  size_t in_flight() const { return sent_.size(); }
  bool empty() const { return ids_ == 0; }

 private:
  struct Question {
    std::vector<object::ObjectId> ids;
    std::vector<tracker::v1::LocatedObject> found;  // by id
    size_t missing = 0;
    base::Deadline deadline;
    Located done;  // empty once it was told
  };
  // An id of a question.
  struct Item {
    std::shared_ptr<Question> question;
    size_t index = 0;
  };

  void AskAgain(const std::vector<Item>& items, size_t from);
  void Tell(const std::shared_ptr<Question>& question, absl::StatusOr<std::vector<tracker::v1::LocatedObject>> answer,
            Completions& completions);

  const Limits limits_;
  std::deque<Item> queue_;
  std::map<uint64_t, std::vector<Item>> sent_;
  std::unordered_set<std::shared_ptr<Question>> questions_;  // not told yet
  uint64_t last_number_ = 0;
  int failures_ = 0;  // in a row
  base::MonotonicTime not_before_;
  size_t ids_ = 0;  // of questions not told yet
};

}  // namespace larder::cache_agent
