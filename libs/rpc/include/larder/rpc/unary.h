#pragma once
#include <absl/status/status.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
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

}  // namespace larder::rpc
