#include "larder/rpc/unary.h"

#include <atomic>

#include "larder/base/status.h"
#include "larder/rpc/happens_before.h"
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

class PendingCall::Later final : public Reactor {
 public:
  // Lives until gRPC is done with it, and as long as somebody may end it.
  static std::shared_ptr<Later> Make(Context& context) {
    auto reactor = std::make_shared<Later>(context);
    reactor->self_ = reactor;
    ReactorMade(reactor.get());
    return reactor;
  }
  explicit Later(Context& context) : context_(context) {}

  void End(const std::function<absl::Status()>& handle) {
    if (!ended_.exchange(true)) Finish(handle());
  }
  void OnCancel() override {
    const InCallback order(this);
    if (!ended_.exchange(true)) Finish(absl::CancelledError("the client left, or the server stops"));
  }
  void OnDone() override {
    InLastCallback(this);
    const std::shared_ptr<Later> last = std::move(self_);
  }

 private:
  void Finish(const absl::Status& status) { rpc::Finish(context_, *this, status); }

  Context& context_;  // until Finish
  std::atomic<bool> ended_ = false;
  std::shared_ptr<Later> self_;
};

void PendingCall::End(const std::function<absl::Status()>& handle) const { reactor_->End(handle); }

Reactor* UnaryLater(Context* context, const std::function<void(PendingCall)>& begin) {
  const auto reactor = PendingCall::Later::Make(*context);
  begin(PendingCall(reactor));
  return reactor.get();
}

}  // namespace larder::rpc
