#include "rpc/registry_watch.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <pthread.h>

#include <chrono>
#include <optional>
#include <utility>

#include "larder/base/backoff.h"
#include "larder/base/status.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/status.h"
#include "larder/tracker/v1/tracker.grpc.pb.h"

namespace larder::cache_agent {

namespace v1 = larder::tracker::v1;

namespace {

// A tracker that hangs is left after so long, and so is one that does not.
constexpr auto kOneStream = std::chrono::seconds(30);
constexpr base::Duration kFirstPause = std::chrono::milliseconds(100);
constexpr base::Duration kLongestPause = std::chrono::seconds(2);

v1::WatchRequest RequestFrom(const std::optional<v1::WatchPosition>& from) {
  v1::WatchRequest request;
  for (const v1::EventKind kind : {v1::EVENT_KIND_SEALED, v1::EVENT_KIND_DELETED, v1::EVENT_KIND_EXPIRED,
                                   v1::EVENT_KIND_SUPERSEDED, v1::EVENT_KIND_RENAMED}) {
    request.add_kinds(kind);
  }
  if (from) *request.mutable_from() = *from;
  return request;
}

}  // namespace

struct RegistryWatch::Position {
  std::optional<v1::WatchPosition> next;
};

RegistryWatch::RegistryWatch(std::vector<std::string> addresses, Events events, observe::Logger& log)
    : addresses_(std::move(addresses)), events_(std::move(events)), log_(log) {}

RegistryWatch::~RegistryWatch() { Stop(); }

void RegistryWatch::Start() {
  thread_ = std::thread([this] { Run(); });
  ::pthread_setname_np(thread_.native_handle(), "larder-watch");
}

void RegistryWatch::Stop() {
  if (!thread_.joinable()) return;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    if (under_way_ != nullptr) under_way_->TryCancel();
    stop_.NotifyAll();
  }
  thread_.join();
}

void RegistryWatch::Run() {
  Position position;
  int failures = 0;
  for (size_t next = 0;; next = (next + 1) % addresses_.size()) {
    failures = Follow(addresses_[next], position) ? 0 : failures + 1;
    if (!AwaitRetry(failures)) return;
  }
}

bool RegistryWatch::AwaitRetry(int failures) {
  base::MutexLock lock(mutex_);
  if (failures > 0) {
    const auto until = std::chrono::steady_clock::now() +
                       base::BackoffDelay(failures - 1, kFirstPause, kLongestPause, base::BackoffRandom());
    while (!stopping_ && stop_.WaitUntil(mutex_, until)) {
    }
  }
  return !stopping_;
}

bool RegistryWatch::Follow(const std::string& address, Position& position) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kOneStream);
  {
    base::MutexLock lock(mutex_);
    if (stopping_) return false;
    under_way_ = &context;
  }
  const auto stub = v1::Tracker::NewStub(rpc::Dial(address));
  const auto reader = stub->Watch(&context, RequestFrom(position.next));
  bool heard = false;
  for (v1::WatchResponse response; reader->Read(&response); heard = true) {
    const bool anew = !position.next;
    position.next = response.next();
    if (anew) events_.missed();
    for (const v1::Event& event : response.events()) {
      events_.changed({.ns = event.object().id().namespace_(), .key = event.object().id().key()});
    }
  }
  const absl::Status ended = rpc::FromGrpc(reader->Finish(), context);
  if (base::Reason(ended) == "REVISION_GONE") {
    log_.Warning("the trackers remember no more what this node has missed: looking at all its objects");
    position.next.reset();
  }
  base::MutexLock lock(mutex_);
  under_way_ = nullptr;
  return heard;
}

}  // namespace larder::cache_agent
