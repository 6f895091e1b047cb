#pragma once
#include <absl/status/status.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "core/consensus.h"
#include "core/history_feed.h"
#include "core/watch.h"
#include "larder/base/mutex.h"
#include "larder/rpc/unary.h"
#include "larder/tracker/v1/tracker.pb.h"
#include "rpc/request_metrics.h"

namespace larder::tracker {

// What may wait for a watch's client: above it no more is read, and if nothing is taken until the next but one
// KeepAlive, it ends.
struct WatchLimits {
  size_t bytes = 4 << 20;
};

// One Tracker.Watch: follows the history, and writes what matches. Lives until gRPC is done with it and the feed has
// let it go. Thread-safe. A client that takes nothing costs WatchLimits and a page, then, till it goes, one page.
class WatchStream final : public grpc::ServerWriteReactor<v1::WatchResponse>,
                          public Follower,
                          public std::enable_shared_from_this<WatchStream> {
 public:
  using Gone = std::function<void(WatchStream&)>;
  // Borrows all. `gone` is called when gRPC is done with it.
  WatchStream(HistoryFeed& feed, RequestMetrics& metrics, rpc::Context& context, const WatchLimits& limits, Gone gone);
  // Once, when it has an owner.
  void Begin(Consensus& consensus, const v1::WatchRequest& request);
  // Writes no more than what is being written; the client goes on elsewhere. The first of all ends counts.
  void End(const absl::Status& why) LARDER_EXCLUDES(mutex_);
  // The next page is told even if it has no events. Ends the call if its client has taken nothing since the last.
  void KeepAlive() LARDER_EXCLUDES(mutex_);

  Then ReadOn(Reader& snapshot) override LARDER_EXCLUDES(mutex_);
  void Ended(const absl::Status& why) override { End(why); }
  void OnWriteDone(bool ok) override LARDER_EXCLUDES(mutex_);
  void OnCancel() override;
  void OnDone() override;

 private:
  // What is to be asked of gRPC next, without the lock.
  struct Next {
    const v1::WatchResponse* write = nullptr;
    bool finish = false;
    absl::Status status;
  };

  // Reading begins at `from`.
  void Follow(const WatchPosition& from);
  // Whether ReadOn is to read; if not, who makes room adds it to the feed again.
  bool MayRead() LARDER_EXCLUDES(mutex_);
  void EndLocked(const absl::Status& why) LARDER_REQUIRES(mutex_);
  bool IsFull() const LARDER_REQUIRES(mutex_) { return bytes_ >= limits_.bytes; }
  Next Decide() LARDER_REQUIRES(mutex_);
  void Do(const Next& next);

  HistoryFeed& feed_;
  RequestMetrics& metrics_;
  rpc::Context& context_;  // until Finish
  const WatchLimits limits_;
  const Gone gone_;
  // Set before it follows, then ReadOn's.
  WatchFilter filter_;
  uint32_t page_size_ = 0;
  WatchPosition position_;

  base::Mutex mutex_;
  std::deque<v1::WatchResponse> outgoing_ LARDER_GUARDED_BY(mutex_);  // the first is the one being written
  size_t bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  bool writing_ LARDER_GUARDED_BY(mutex_) = false;
  bool tell_position_ LARDER_GUARDED_BY(mutex_) = true;
  bool paused_ LARDER_GUARDED_BY(mutex_) = false;   // left the feed till there is room
  bool stalled_ LARDER_GUARDED_BY(mutex_) = false;  // it was full at the last KeepAlive, and nothing was taken since
  std::optional<absl::Status> end_ LARDER_GUARDED_BY(mutex_);
  bool finished_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace larder::tracker
