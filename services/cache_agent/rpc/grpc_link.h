#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_set>
#include <utility>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/object/peer.h"
#include "larder/rpc/status.h"

// What links over gRPC are made of. Both wait, when they go, for what is under way: no lock that a callback takes may
// be held then.
namespace larder::cache_agent {

// A stream whose messages are sent from any thread. Thread-safe.
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
    if (!ok) {
      Break();
      return ReleaseHold();
    }
    events_.received(std::exchange(incoming_, {}));
    this->StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override LARDER_EXCLUDES(mutex_) {
    if (!ok) return Break();
    base::MutexLock lock(mutex_);
    outgoing_.pop_front();
    if (!outgoing_.empty() && !broken_ && !closing_) this->StartWrite(&outgoing_.front());
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

// Questions beside it. Thread-safe.
class GrpcQuestions {
 public:
  ~GrpcQuestions() LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    closing_ = true;
    for (grpc::ClientContext* call : calls_) call->TryCancel();
    while (!calls_.empty()) changed_.Wait(mutex_);
  }

  // `begin` gives the stub's method the context, both messages and what to call at the end. `done` comes in any case,
  // on a thread of gRPC's. UNAVAILABLE or DEADLINE_EXCEEDED without a reason: nobody answered.
  template <typename Request, typename Response, typename Begin>
  void Ask(Request request, base::Duration timeout, object::Done<absl::StatusOr<Response>> done, const Begin& begin)
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

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::unordered_set<grpc::ClientContext*> calls_ LARDER_GUARDED_BY(mutex_);
  bool closing_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace larder::cache_agent
