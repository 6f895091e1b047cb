#pragma once
#include <absl/status/status.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "larder/base/executor.h"

// The shape of a unary handler: validate, translate, call, translate.
namespace larder::rpc {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

// Ends a call with `status`.
void Finish(Context& context, Reactor& reactor, const absl::Status& status);

// Runs `handle`, which returns absl::Status and must not block, on gRPC's thread and ends the call with its result.
template <typename Handle>
  requires std::is_invocable_r_v<absl::Status, Handle>
Reactor* Unary(Context* context, Handle&& handle) {
  Reactor* reactor = context->DefaultReactor();
  Finish(*context, *reactor, std::forward<Handle>(handle)());
  return reactor;
}

// The same for what waits: `handle` runs on `executor` and outlives the caller's frame, so capture by value (request,
// response and context live until the call ends). Ends the call with CANCELLED if the client left before its turn, and
// with UNAVAILABLE (STOPPING) if the executor refuses. The executor must run or refuse what is submitted: stop the
// server first, the executor after it.
Reactor* UnaryOn(base::Executor& executor, Context* context, std::function<absl::Status()> handle);

// The end of a call that is answered later; copies are of the same call. Thread-safe.
class PendingCall {
 public:
  // Ends the call with what `handle` returns. Once; if the client has left, `handle` does not run: request, response
  // and context are gone then, so it alone may touch them.
  void End(const std::function<absl::Status()>& handle) const;

 private:
  class Later;
  friend Reactor* UnaryLater(Context* context, const std::function<void(PendingCall)>& begin);
  explicit PendingCall(std::shared_ptr<Later> reactor) : reactor_(std::move(reactor)) {}

  std::shared_ptr<Later> reactor_;
};

// For what is answered by a callback: `begin` starts it on gRPC's thread, must not block, and sees to it that the call
// is ended in the end, also after the server has stopped. A client that leaves, or a server that stops, does not wait
// for that: the call ends with CANCELLED.
Reactor* UnaryLater(Context* context, const std::function<void(PendingCall)>& begin);

}  // namespace larder::rpc
