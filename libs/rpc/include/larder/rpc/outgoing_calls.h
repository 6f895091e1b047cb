#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/rpc/happens_before.h"
#include "larder/rpc/status.h"

namespace larder::rpc {

// Unary calls of a client that are answered by a callback, and end with it. Thread-safe.
class OutgoingCalls {
 public:
  // Cancels what is under way, and waits for its ends: no lock that a callback takes may be held. Afterwards no thread
  // of gRPC's has the channel: gRPC breaks when the last channel of a process is let go by one of those.
  ~OutgoingCalls() LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    closing_ = true;
    for (grpc::ClientContext* call : calls_) call->TryCancel();
    while (under_way_ > 0) ended_.Wait(mutex_);
  }

  // `begin` gives the stub's method the context, both messages and what to call at the end. `done` comes in any case,
  // on a thread of gRPC's. UNAVAILABLE or DEADLINE_EXCEEDED without a reason: nobody answered.
  template <typename Request, typename Response, typename Begin>
  void Ask(Request request, base::Duration timeout, std::function<void(absl::StatusOr<Response>)> done,
           const Begin& begin) LARDER_EXCLUDES(mutex_) {
    struct Call {
      grpc::ClientContext context;
      Request request;
      Response response;
    };
    // gRPC keeps what it calls at the end for longer than this may live; what it keeps is empty then.
    const auto held = std::make_shared<std::optional<Call>>(std::in_place);
    Call& call = **held;
    call.request = std::move(request);
    call.context.set_deadline(std::chrono::system_clock::now() + timeout);
    {
      base::MutexLock lock(mutex_);
      ++under_way_;
      calls_.insert(&call.context);
      if (closing_) call.context.TryCancel();
    }
    HappensBefore(&call);
    begin(&call.context, &call.request, &call.response,
          [this, held, done = std::move(done)](const grpc::Status& status) {
            HappensAfter(&**held);
            const absl::Status ended = FromGrpc(status, (*held)->context);
            done(ended.ok() ? absl::StatusOr<Response>(std::move((*held)->response)) : ended);
            Forget(&(*held)->context);
            held->reset();
            End();
          });
  }

 private:
  void Forget(grpc::ClientContext* call) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    calls_.erase(call);
  }
  void End() LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    --under_way_;
    ended_.NotifyAll();
  }

  base::Mutex mutex_;
  base::CondVar ended_;
  std::unordered_set<grpc::ClientContext*> calls_ LARDER_GUARDED_BY(mutex_);  // may be cancelled
  int under_way_ LARDER_GUARDED_BY(mutex_) = 0;
  bool closing_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace larder::rpc
