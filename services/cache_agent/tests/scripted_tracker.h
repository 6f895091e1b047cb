#pragma once
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "larder/base/mutex.h"
#include "rpc/tracker_link.h"

namespace larder::cache_agent {

// A tracker that the test answers for, on links that it begins one after the other.
class ScriptedTracker {
 public:
  using Alive = object::Done<absl::StatusOr<tracker::v1::NodeAliveResponse>>;
  struct Link {
    std::string address;
    TrackerLink::Events events;
  };

  DialTracker dial() {
    return [this](const std::string& address, TrackerLink::Events events) {
      base::MutexLock lock(mutex_);
      links_.push_back({address, std::move(events)});
      changed_.NotifyAll();
      return std::make_unique<ScriptedLink>(*this);
    };
  }
  // Each waits for the next.
  Link TakeLink() { return Take(links_); }
  tracker::v1::StreamRequest TakeRequest() { return Take(requests_); }
  Alive TakeQuestion() { return Take(questions_); }

 private:
  class ScriptedLink final : public TrackerLink {
   public:
    explicit ScriptedLink(ScriptedTracker& tracker) : tracker_(tracker) {}
    void Send(tracker::v1::StreamRequest request) override { tracker_.Put(tracker_.requests_, std::move(request)); }
    void List(tracker::v1::ListRequest, base::Duration,
              object::Done<absl::StatusOr<tracker::v1::ListResponse>>) override {}
    void GetInventory(tracker::v1::GetInventoryRequest, base::Duration,
                      object::Done<absl::StatusOr<tracker::v1::GetInventoryResponse>>) override {}
    void NodeAlive(tracker::v1::NodeAliveRequest, base::Duration, Alive done) override {
      tracker_.Put(tracker_.questions_, std::move(done));
    }
    void ListNodes(tracker::v1::ListNodesRequest, base::Duration,
                   object::Done<absl::StatusOr<tracker::v1::ListNodesResponse>>) override {}

   private:
    ScriptedTracker& tracker_;
  };
  template <typename T>
  void Put(std::deque<T>& queue, T item) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    queue.push_back(std::move(item));
    changed_.NotifyAll();
  }
  template <typename T>
  T Take(std::deque<T>& queue) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    while (queue.empty()) changed_.Wait(mutex_);
    T item = std::move(queue.front());
    queue.pop_front();
    return item;
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Link> links_;  // these are guarded by mutex_
  std::deque<tracker::v1::StreamRequest> requests_;
  std::deque<Alive> questions_;
};

}  // namespace larder::cache_agent
