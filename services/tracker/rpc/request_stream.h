#pragma once
#include <absl/status/status.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>

#include "larder/base/mutex.h"
#include "larder/rpc/unary.h"
#include "larder/tracker/v1/tracker.pb.h"
#include "rpc/requests.h"

namespace larder::tracker {

// What a stream has taken and not yet got rid of: above any of these it reads no more. Bytes are those of requests
// until they are answered, and of answers until they are written; a Locate's answer may be long, so there are few of
// them.
struct StreamLimits {
  size_t requests = 1024;
  size_t locates = 16;
  size_t bytes = 16 << 20;
};

// One Tracker.Stream: reads requests, begins each in its order, writes answers as they come. Lives until gRPC is done
// with it, and as long as an answer may come. Thread-safe.
class RequestStream final : public grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse>,
                            public std::enable_shared_from_this<RequestStream> {
 public:
  using Gone = std::function<void(RequestStream&)>;
  // `gone` is called when gRPC is done with it.
  RequestStream(Requests& requests, rpc::Context& context, const StreamLimits& limits, Gone gone);
  // Once, when it has an owner.
  void Begin();
  // Reads no more; ends the call with UNAVAILABLE (STOPPING) when what was begun is answered.
  void Stop() LARDER_EXCLUDES(mutex_);

  void OnReadDone(bool ok) override LARDER_EXCLUDES(mutex_);
  void OnWriteDone(bool ok) override LARDER_EXCLUDES(mutex_);
  void OnCancel() override LARDER_EXCLUDES(mutex_);
  void OnDone() override;

 private:
  struct Outgoing {
    v1::StreamResponse response;
    size_t bytes = 0;
    bool locate = false;
  };
  // What is to be asked of gRPC next, without the lock.
  struct Next {
    bool read = false;
    const v1::StreamResponse* write = nullptr;
    bool more_follows = false;
    bool finish = false;
    absl::Status status;
  };

  void BeginOne(v1::StreamRequest request, size_t bytes);
  void Answer(v1::StreamResponse response, size_t request_bytes, bool locate) LARDER_EXCLUDES(mutex_);
  bool IsFull() const LARDER_REQUIRES(mutex_);
  Next Decide() LARDER_REQUIRES(mutex_);
  void Do(const Next& next);

  Requests& requests_;
  rpc::Context& context_;  // until Finish
  const StreamLimits limits_;
  const Gone gone_;
  v1::StreamRequest incoming_;  // of the read under way

  base::Mutex mutex_;
  bool reading_ LARDER_GUARDED_BY(mutex_) = true;  // until what was read is begun
  bool writing_ LARDER_GUARDED_BY(mutex_) = false;
  bool said_all_ LARDER_GUARDED_BY(mutex_) = false;
  bool broken_ LARDER_GUARDED_BY(mutex_) = false;
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
  bool finished_ LARDER_GUARDED_BY(mutex_) = false;
  size_t in_flight_ LARDER_GUARDED_BY(mutex_) = 0;
  size_t locates_ LARDER_GUARDED_BY(mutex_) = 0;
  size_t bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  std::deque<Outgoing> outgoing_ LARDER_GUARDED_BY(mutex_);  // the first is the one being written
};

}  // namespace larder::tracker
