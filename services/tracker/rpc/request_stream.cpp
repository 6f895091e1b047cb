#include "rpc/request_stream.h"

#include <utility>

#include "larder/base/status.h"
#include "larder/rpc/happens_before.h"
#include "larder/rpc/status.h"
#include "rpc/reply_proto.h"

namespace larder::tracker {

RequestStream::RequestStream(Requests& requests, rpc::Context& context, const StreamLimits& limits, Gone gone)
    : requests_(requests), context_(context), limits_(limits), gone_(std::move(gone)) {}

void RequestStream::Begin() { StartRead(&incoming_); }

void RequestStream::Stop() {
  Next next;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    next = Decide();
  }
  Do(next);
}

void RequestStream::OnReadDone(bool ok) {
  const rpc::InCallback order(this);
  rpc::HappensAfter(&incoming_);
  Next next;
  if (ok) {
    v1::StreamRequest request = std::exchange(incoming_, {});
    rpc::HappensBefore(&incoming_);
    const size_t bytes = request.ByteSizeLong();
    {
      base::MutexLock lock(mutex_);
      if (finished_) return;
      ++in_flight_;
      bytes_ += bytes;
      if (request.has_locate()) ++locates_;
    }
    // Before the next read, so in the order of the stream.
    BeginOne(std::move(request), bytes);
  }
  {
    base::MutexLock lock(mutex_);
    reading_ = false;
    if (!ok) said_all_ = true;
    next = Decide();
  }
  Do(next);
}

void RequestStream::BeginOne(v1::StreamRequest request, size_t bytes) {
  const uint64_t number = request.number();
  const auto self = shared_from_this();
  // `response`, or why there is none.
  const auto answer = [self, number, bytes](const absl::Status& status, v1::StreamResponse response, bool locate) {
    response.set_number(number);
    if (!status.ok()) *response.mutable_failure() = ToProto(status);
    self->Answer(std::move(response), bytes, locate);
  };
  if (request.has_apply()) {
    return requests_.Apply(request.apply(), [answer](absl::StatusOr<v1::ApplyResponse> applied) {
      v1::StreamResponse response;
      if (applied.ok()) *response.mutable_applied() = *std::move(applied);
      answer(applied.status(), std::move(response), false);
    });
  }
  if (request.has_locate()) {
    const bool stale_ok = request.locate().stale_ok();
    return requests_.Read(stale_ok, [this, answer, request = std::move(request)](const absl::Status& status,
                                                                                 Reader* snapshot, LogTime now) {
      v1::StreamResponse response;
      const absl::Status located =
          requests_.Answered(Op::kLocate, status, snapshot, now, request.locate(), *response.mutable_located());
      answer(located, std::move(response), true);
    });
  }
  answer(base::InvalidArgument("BAD_FIELD", "request is missing, or of a newer version"), {}, false);
}

void RequestStream::Answer(v1::StreamResponse response, size_t request_bytes, bool locate) {
  const size_t bytes = response.ByteSizeLong();
  Next next;
  {
    base::MutexLock lock(mutex_);
    if (finished_) return;
    bytes_ += bytes - request_bytes;
    outgoing_.push_back({.response = std::move(response), .bytes = bytes, .locate = locate});
    next = Decide();
  }
  Do(next);
}

void RequestStream::OnWriteDone(bool ok) {
  const rpc::InCallback order(this);
  Next next;
  {
    base::MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) broken_ = true;
    const Outgoing& written = outgoing_.front();
    --in_flight_;
    bytes_ -= written.bytes;
    if (written.locate) --locates_;
    outgoing_.pop_front();
    next = Decide();
  }
  Do(next);
}

void RequestStream::OnCancel() {
  const rpc::InCallback order(this);
  Next next;
  {
    base::MutexLock lock(mutex_);
    broken_ = true;
    next = Decide();
  }
  Do(next);
}

void RequestStream::OnDone() {
  rpc::InLastCallback(this);
  gone_(*this);
}

bool RequestStream::IsFull() const {
  return in_flight_ >= limits_.requests || locates_ >= limits_.locates || bytes_ >= limits_.bytes;
}

RequestStream::Next RequestStream::Decide() {
  Next next;
  if (finished_) return next;
  const bool over = said_all_ || stopping_;
  if (!writing_ && (broken_ || (over && in_flight_ == 0))) {
    finished_ = next.finish = true;
    if (stopping_ && !said_all_)
      next.status = base::Error(absl::StatusCode::kUnavailable, "STOPPING", "this member is stopping");
    if (broken_) next.status = absl::CancelledError("the client left, or this member stops");
    return next;
  }
  if (broken_) return next;
  if (!writing_ && !outgoing_.empty()) {
    writing_ = true;
    next.write = &outgoing_.front().response;
    next.more_follows = outgoing_.size() > 1;
  }
  if (!reading_ && !over && !IsFull()) reading_ = next.read = true;
  return next;
}

void RequestStream::Do(const Next& next) {
  if (next.finish) return Finish(rpc::ToGrpc(next.status, context_));
  if (next.read) StartRead(&incoming_);
  // What follows at once may go out with it.
  grpc::WriteOptions options;
  if (next.more_follows) options.set_buffer_hint();
  if (next.write != nullptr) StartWrite(next.write, options);
}

}  // namespace larder::tracker
