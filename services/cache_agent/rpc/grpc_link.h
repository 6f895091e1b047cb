#pragma once
#include <absl/status/status.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "larder/base/mutex.h"
#include "larder/rpc/happens_before.h"
#include "larder/rpc/status.h"

namespace larder::cache_agent {

// A stream whose messages are sent from any thread. Waits, when it goes, for what is under way: no lock that a callback
// takes may be held then. Thread-safe.
template <typename Request, typename Response>
class GrpcStream final : grpc::ClientBidiReactor<Request, Response> {
 public:
  // Called on gRPC's threads, never from within Send, one at a time.
  struct Events {
    std::function<void(Response)> received;
    std::function<void(const absl::Status&)> ended;  // once, unless it was destroyed before
  };
  using Reactor = grpc::ClientBidiReactor<Request, Response>;

  // `begin` gives the stub's method the context and the reactor.
  GrpcStream(Events events, const std::function<void(grpc::ClientContext*, Reactor*)>& begin)
      : events_(std::move(events)) {
    begin(&context_, this);
    rpc::ReactorMade(this);
    this->AddHold();  // writes begin outside of reactions
    this->StartRead(&incoming_);
    this->StartCall();
  }

  ~GrpcStream() override LARDER_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      closing_ = true;
    }
    context_.TryCancel();
    ReleaseHold();
    base::MutexLock lock(mutex_);
    while (!done_) changed_.Wait(mutex_);
  }

  // Queues, in this order. What is sent after the end is dropped.
  void Send(Request request) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (broken_ || closing_) return;
    outgoing_.push_back(std::move(request));
    if (outgoing_.size() == 1) this->StartWrite(&outgoing_.front());
  }

 private:
  void OnReadDone(bool ok) override LARDER_EXCLUDES(mutex_) {
    const rpc::InCallback order(this);
    rpc::HappensAfter(&incoming_);
    if (!ok) {
      Break();
      return ReleaseHold();
    }
    Response response = std::exchange(incoming_, {});
    rpc::HappensBefore(&incoming_);
    events_.received(std::move(response));
    this->StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override LARDER_EXCLUDES(mutex_) {
    const rpc::InCallback order(this);
    if (!ok) return Break();
    base::MutexLock lock(mutex_);
    outgoing_.pop_front();
    if (!outgoing_.empty() && !broken_ && !closing_) this->StartWrite(&outgoing_.front());
  }

  void OnDone(const grpc::Status& status) override LARDER_EXCLUDES(mutex_) {
    rpc::InLastCallback(this);
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
    this->RemoveHold();
  }

  const Events events_;
  grpc::ClientContext context_;
  Response incoming_;  // of the read under way

  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Request> outgoing_ LARDER_GUARDED_BY(mutex_);  // the first is being written
  bool held_ LARDER_GUARDED_BY(mutex_) = true;
  bool broken_ LARDER_GUARDED_BY(mutex_) = false;
  bool closing_ LARDER_GUARDED_BY(mutex_) = false;
  bool done_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace larder::cache_agent
