#include "rpc/grpc_tracker_link.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <deque>
#include <unordered_set>
#include <utility>

#include "larder/base/mutex.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/status.h"
#include "larder/tracker/v1/tracker.grpc.pb.h"

namespace larder::cache_agent {

namespace v1 = larder::tracker::v1;

namespace {

class GrpcTrackerLink final : public TrackerLink, grpc::ClientBidiReactor<v1::StreamRequest, v1::StreamResponse> {
 public:
  GrpcTrackerLink(const std::string& address, Events events)
      : events_(std::move(events)), stub_(v1::Tracker::NewStub(rpc::Dial(address))) {
    stub_->async()->Stream(&context_, this);
    AddHold();  // writes begin outside of reactions
    StartRead(&incoming_);
    StartCall();
  }

  ~GrpcTrackerLink() override {
    {
      base::MutexLock lock(mutex_);
      closing_ = true;
      for (grpc::ClientContext* call : calls_) call->TryCancel();
    }
    context_.TryCancel();
    ReleaseHold();
    base::MutexLock lock(mutex_);
    while (!done_ || !calls_.empty()) changed_.Wait(mutex_);
  }

  void Send(v1::StreamRequest request) override LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (broken_ || closing_) return;
    outgoing_.push_back(std::move(request));
    if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
  }

  void List(v1::ListRequest request, base::Duration timeout,
            object::Done<absl::StatusOr<v1::ListResponse>> done) override {
    Call<v1::ListRequest, v1::ListResponse>(std::move(request), timeout, std::move(done),
                                            [this](auto* context, auto* sent, auto* received, auto then) {
                                              stub_->async()->List(context, sent, received, std::move(then));
                                            });
  }

  void GetInventory(v1::GetInventoryRequest request, base::Duration timeout,
                    object::Done<absl::StatusOr<v1::GetInventoryResponse>> done) override {
    Call<v1::GetInventoryRequest, v1::GetInventoryResponse>(
        std::move(request), timeout, std::move(done), [this](auto* context, auto* sent, auto* received, auto then) {
          stub_->async()->GetInventory(context, sent, received, std::move(then));
        });
  }

 private:
  // A question beside the stream; `begin` starts it.
  template <typename Request, typename Response, typename Begin>
  void Call(Request request, base::Duration timeout, object::Done<absl::StatusOr<Response>> done, const Begin& begin)
      LARDER_EXCLUDES(mutex_) {
    struct Asked {
      grpc::ClientContext context;
      Request request;
      Response response;
    };
    auto asked = std::make_shared<Asked>();
    asked->request = std::move(request);
    asked->context.set_deadline(std::chrono::system_clock::now() + timeout);
    {
      base::MutexLock lock(mutex_);
      calls_.insert(&asked->context);
      if (closing_) asked->context.TryCancel();
    }
    begin(&asked->context, &asked->request, &asked->response,
          [this, asked, done = std::move(done)](const grpc::Status& status) {
            const absl::Status ended = rpc::FromGrpc(status, asked->context);
            done(ended.ok() ? absl::StatusOr<Response>(std::move(asked->response)) : ended);
            base::MutexLock lock(mutex_);
            calls_.erase(&asked->context);
            changed_.NotifyAll();
          });
  }

  void OnReadDone(bool ok) override LARDER_EXCLUDES(mutex_) {
    if (!ok) {
      Break();
      return ReleaseHold();
    }
    events_.received(std::exchange(incoming_, {}));
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override LARDER_EXCLUDES(mutex_) {
    if (!ok) return Break();
    base::MutexLock lock(mutex_);
    outgoing_.pop_front();
    if (!outgoing_.empty() && !broken_ && !closing_) StartWrite(&outgoing_.front());
  }

  void OnDone(const grpc::Status& status) override LARDER_EXCLUDES(mutex_) {
    bool tell = false;
    {
      base::MutexLock lock(mutex_);
      tell = !closing_;
    }
    if (tell) events_.ended(rpc::FromGrpc(status, context_));
    base::MutexLock lock(mutex_);
    done_ = true;
    changed_.NotifyAll();
  }

  void Break() LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    broken_ = true;
  }

  // gRPC is done with the stream only when nobody outside its reactions may write any more.
  void ReleaseHold() LARDER_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      if (!std::exchange(held_, false)) return;
    }
    RemoveHold();
  }

  const Events events_;
  const std::unique_ptr<v1::Tracker::Stub> stub_;
  grpc::ClientContext context_;
  v1::StreamResponse incoming_;  // of the read under way

  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<v1::StreamRequest> outgoing_ LARDER_GUARDED_BY(mutex_);  // the first is being written
  std::unordered_set<grpc::ClientContext*> calls_ LARDER_GUARDED_BY(mutex_);
  bool held_ LARDER_GUARDED_BY(mutex_) = true;
  bool broken_ LARDER_GUARDED_BY(mutex_) = false;
  bool closing_ LARDER_GUARDED_BY(mutex_) = false;
  bool done_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace

std::unique_ptr<TrackerLink> DialTrackerByGrpc(const std::string& address, TrackerLink::Events events) {
  return std::make_unique<GrpcTrackerLink>(address, std::move(events));
}

}  // namespace larder::cache_agent
