#include "rpc/watch_stream.h"

#include <utility>

#include "larder/base/status.h"
#include "larder/rpc/happens_before.h"
#include "larder/rpc/status.h"
#include "rpc/watch_proto.h"

namespace larder::tracker {
namespace {

constexpr uint32_t kDefaultPage = 256;

// `told` is the last that its client will get.
absl::Status Behind(size_t limit, const v1::WatchPosition& told) {
  return base::Error(absl::StatusCode::kResourceExhausted, "WATCH_BEHIND",
                     "above {} bytes wait for this client, which takes none (watch on from revision {}, event {})",
                     limit, told.revision(), told.ordinal());
}

}  // namespace

WatchStream::WatchStream(HistoryFeed& feed, RequestMetrics& metrics, rpc::Context& context, const WatchLimits& limits,
                         Gone gone)
    : feed_(feed), metrics_(metrics), context_(context), limits_(limits), gone_(std::move(gone)) {
  metrics_.WatcherCame();
}

void WatchStream::Begin(Consensus& consensus, const v1::WatchRequest& request) {
  page_size_ = request.page_size() == 0 ? kDefaultPage : request.page_size();
  if (const absl::Status status = FromProto(request, filter_); !status.ok()) return End(status);
  if (request.has_from()) return Follow(FromProto(request.from()));
  // Not before what was acknowledged before the call, though this member may lag behind.
  consensus.Read([self = shared_from_this()](const absl::Status& status, Reader* snapshot) {
    if (!status.ok()) return self->End(status);
    const absl::StatusOr<WatchPosition> end = EndOfHistory(*snapshot);
    if (!end.ok()) return self->End(end.status());
    self->Follow(*end);
  });
}

void WatchStream::Follow(const WatchPosition& from) {
  position_ = from;
  feed_.Add(shared_from_this());
}

bool WatchStream::MayRead() {
  base::MutexLock lock(mutex_);
  if (end_) return false;
  paused_ = IsFull();
  return !paused_;
}

Follower::Then WatchStream::ReadOn(Reader& snapshot) {
  if (!MayRead()) return Then::kLeave;
  const absl::StatusOr<WatchPage> page = Events(snapshot, position_, filter_, page_size_);
  if (!page.ok()) {
    End(base::Detached(page.status()));
    return Then::kLeave;
  }
  position_ = page->next;
  v1::WatchResponse response = ToProto(*page);
  Next next;
  {
    base::MutexLock lock(mutex_);
    if (end_) return Then::kLeave;
    if (!page->events.empty() || (tell_position_ && !page->more)) {
      tell_position_ = false;
      bytes_ += response.ByteSizeLong();
      outgoing_.push_back(std::move(response));
      next = Decide();
    }
  }
  Do(next);
  return page->more ? Then::kGoOn : Then::kWait;
}

void WatchStream::End(const absl::Status& why) {
  Next next;
  {
    base::MutexLock lock(mutex_);
    EndLocked(why);
    next = Decide();
  }
  Do(next);
}

void WatchStream::EndLocked(const absl::Status& why) {
  if (end_) return;
  end_ = why;
  outgoing_.resize(writing_ ? 1 : 0);
  metrics_.WatcherLeft();
  metrics_.Done(Op::kWatch, why.code());
}

void WatchStream::KeepAlive() {
  base::MutexLock lock(mutex_);
  if (end_) return;
  tell_position_ = true;
  if (std::exchange(stalled_, IsFull()) && IsFull()) EndLocked(Behind(limits_.bytes, outgoing_.front().next()));
}

void WatchStream::OnWriteDone(bool ok) {
  const rpc::InCallback order(this);
  bool resume = false;
  Next next;
  {
    base::MutexLock lock(mutex_);
    writing_ = stalled_ = false;
    bytes_ -= outgoing_.front().ByteSizeLong();
    outgoing_.pop_front();
    if (!ok) EndLocked(absl::CancelledError("the client left, or this member stops"));
    if (!end_ && !IsFull()) resume = std::exchange(paused_, false);
    next = Decide();
  }
  // Before Do, which may be the end of it.
  if (resume) feed_.Add(shared_from_this());
  Do(next);
}

void WatchStream::OnCancel() {
  const rpc::InCallback order(this);
  End(absl::CancelledError("the client left, or this member stops"));
}

void WatchStream::OnDone() {
  rpc::InLastCallback(this);
  gone_(*this);
}

WatchStream::Next WatchStream::Decide() {
  Next next;
  if (finished_ || writing_) return next;
  if (end_) {
    finished_ = next.finish = true;
    next.status = *end_;
  } else if (!outgoing_.empty()) {
    writing_ = true;
    next.write = &outgoing_.front();
  }
  return next;
}

void WatchStream::Do(const Next& next) {
  if (next.finish) return Finish(rpc::ToGrpc(next.status, context_));
  if (next.write != nullptr) StartWrite(next.write);
}

}  // namespace larder::tracker
