#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>

#include "larder/base/clock.h"
#include "larder/object/peer.h"
#include "larder/tracker/v1/tracker.pb.h"

namespace larder::cache_agent {

// A stream to one tracker, and questions beside it. Thread-safe.
class TrackerLink {
 public:
  // Called on the link's threads, never from within a call of the link, one at a time.
  struct Events {
    std::function<void(tracker::v1::StreamResponse)> received;
    std::function<void(const absl::Status&)> ended;  // once, unless it was destroyed before
  };

  // Ends it. Waits for an event that is on its way; none comes afterwards. So no lock that they take may be held.
  virtual ~TrackerLink() = default;
  // Queues, in this order. What is sent after the end is dropped.
  virtual void Send(tracker::v1::StreamRequest request) = 0;
  // `done` comes in any case, on a thread of the link's, before the link is destroyed. UNAVAILABLE or
  // DEADLINE_EXCEEDED without a reason: nobody answered.
  virtual void List(tracker::v1::ListRequest request, base::Duration timeout,
                    object::Done<absl::StatusOr<tracker::v1::ListResponse>> done) = 0;
  // Likewise.
  virtual void GetInventory(tracker::v1::GetInventoryRequest request, base::Duration timeout,
                            object::Done<absl::StatusOr<tracker::v1::GetInventoryResponse>> done) = 0;
  virtual void NodeAlive(tracker::v1::NodeAliveRequest request, base::Duration timeout,
                         object::Done<absl::StatusOr<tracker::v1::NodeAliveResponse>> done) = 0;
  virtual void ListNodes(tracker::v1::ListNodesRequest request, base::Duration timeout,
                         object::Done<absl::StatusOr<tracker::v1::ListNodesResponse>> done) = 0;
};

// Begins a link to HOST:PORT. Never fails: the link ends.
using DialTracker = std::function<std::unique_ptr<TrackerLink>(const std::string& address, TrackerLink::Events events)>;

}  // namespace larder::cache_agent
