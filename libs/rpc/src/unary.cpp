#include "larder/rpc/unary.h"

#include "larder/base/status.h"
#include "larder/rpc/status.h"

namespace larder::rpc {

void Finish(Context& context, Reactor& reactor, const absl::Status& status) { reactor.Finish(ToGrpc(status, context)); }

Reactor* UnaryOn(base::Executor& executor, Context* context, std::function<absl::Status()> handle) {
  Reactor* reactor = context->DefaultReactor();
  const bool taken = executor.Submit([context, reactor, handle = std::move(handle)] {
    const bool left = context->IsCancelled();
    Finish(*context, *reactor, left ? absl::CancelledError("the client left before its turn") : handle());
  });
  if (!taken) {
    Finish(*context, *reactor, base::Error(absl::StatusCode::kUnavailable, "STOPPING", "the server is stopping"));
  }
  return reactor;
}

}  // namespace larder::rpc
