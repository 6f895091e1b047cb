#include "rpc/session_stream.h"

#include <utility>

#include "larder/base/status.h"
#include "larder/rpc/happens_before.h"
#include "larder/rpc/status.h"
#include "rpc/peers_proto.h"

namespace larder::peer_manager {

SessionStream::SessionStream(Manager& manager, SessionId id, rpc::Context& context, const base::Clock& clock,
                             Events events)
    : manager_(manager),
      id_(id),
      context_(context),
      clock_(clock),
      events_(std::move(events)),
      heard_(clock.BootNow()) {}

void SessionStream::Begin() { StartRead(&incoming_); }

absl::StatusOr<BeatAnswer> SessionStream::Hear(const v1::SessionRequest& request) {
  if (request.sequence() <= sequence_) {
    return base::InvalidArgument("BAD_FIELD", "sequence {} came after {}", request.sequence(), sequence_);
  }
  sequence_ = request.sequence();
  if (request.has_hello() != node_.empty() || request.said_case() == v1::SessionRequest::SAID_NOT_SET) {
    return base::InvalidArgument("BAD_SESSION", "a session is one hello, then beats");
  }
  if (request.has_beat()) return manager_.Take(node_, id_, BeatOf(request));
  LARDER_ASSIGN_OR_RETURN(const Introduction said, FromProto(request.hello()));
  LARDER_ASSIGN_OR_RETURN(const Manager::Entered entered, manager_.Enter(id_, said, BeatOf(request)));
  node_ = said.node;
  if (entered.replaced) events_.replaced(*entered.replaced);
  return entered.answer;
}

void SessionStream::OnReadDone(bool ok) {
  const rpc::InCallback order(this);
  if (!ok) return End(absl::OkStatus());
  {
    base::MutexLock lock(mutex_);
    if (finished_) return;
    heard_ = clock_.BootNow();
  }
  const absl::StatusOr<BeatAnswer> answer = Hear(incoming_);
  if (!answer.ok()) return End(answer.status());
  outgoing_ = ToProto(*answer, incoming_.sequence(), manager_.options().session);
  {
    base::MutexLock lock(mutex_);
    if (finished_) return;
    writing_ = true;
  }
  StartWrite(&outgoing_);
}

void SessionStream::OnWriteDone(bool ok) {
  const rpc::InCallback order(this);
  std::optional<absl::Status> end;
  {
    base::MutexLock lock(mutex_);
    writing_ = false;
    if (cancelling_) return;
    end = std::exchange(end_, {});
  }
  if (end) return End(*end);
  if (!ok) return End(absl::CancelledError("the agent left"));
  StartRead(&incoming_);
}

void SessionStream::End(const absl::Status& why) {
  {
    base::MutexLock lock(mutex_);
    if (finished_) return;
    if (writing_ || cancelling_) {
      if (!end_) end_ = base::Detached(why);
      return;
    }
    finished_ = true;
  }
  Finish(rpc::ToGrpc(why, context_));
}

void SessionStream::Cancel() {
  {
    base::MutexLock lock(mutex_);
    if (!writing_ || cancelling_) return;
    cancelling_ = true;
  }
  context_.TryCancel();  // may call OnWriteDone
  absl::Status end = absl::CancelledError("the agent takes no answers");
  {
    base::MutexLock lock(mutex_);
    cancelling_ = false;
    if (!end_) end_ = end;
    if (writing_) return;
    end = *std::exchange(end_, {});
  }
  End(end);
}

void SessionStream::Sweep(base::MonotonicTime now) {
  const base::Duration session = manager_.options().session;
  bool answering = false;
  {
    base::MutexLock lock(mutex_);
    if (finished_ || now - heard_ < session) return;
    answering = writing_;
  }
  if (answering) return Cancel();
  End(base::Error(absl::StatusCode::kDeadlineExceeded, "SESSION_SILENT",
                  "nothing came for {} ms, the session timeout (begin another session)",
                  session / std::chrono::milliseconds(1)));
}

void SessionStream::OnCancel() {
  const rpc::InCallback order(this);
  End(absl::CancelledError("the agent left, or this manager stops"));
}

void SessionStream::OnDone() {
  rpc::InLastCallback(this);
  if (!node_.empty()) manager_.Leave(node_, id_);
  events_.gone(*this);
}

}  // namespace larder::peer_manager
