#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/manager.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/peers/v1/peers.pb.h"
#include "larder/rpc/unary.h"

namespace larder::peer_manager {

// One PeerManager.Session: a message is read, told to the manager, answered, then the next is read; so an agent that
// takes no answers costs one of each. Lives until gRPC is done with it. Thread-safe.
class SessionStream final : public grpc::ServerBidiReactor<peers::v1::SessionRequest, peers::v1::SessionResponse>,
                            public std::enable_shared_from_this<SessionStream> {
 public:
  struct Events {
    std::function<void(SessionId)> replaced;   // to be ended: this one took over
    std::function<void(SessionStream&)> gone;  // gRPC is done with it, and the manager knows
  };
  SessionStream(Manager& manager, SessionId id, rpc::Context& context, const base::Clock& clock, Events events);
  // Once, when it has an owner.
  void Begin();
  // Ends the call with `why`, once what is being written is.
  void End(const absl::Status& why) LARDER_EXCLUDES(mutex_);
  // Ends it if nothing came for a session's time; cancels it if the answer did not go out in that time.
  void Sweep(base::MonotonicTime now) LARDER_EXCLUDES(mutex_);
  // If an answer is being written, the agent does not take it: ends the call without waiting for that.
  void Cancel() LARDER_EXCLUDES(mutex_);
  SessionId id() const { return id_; }

  void OnReadDone(bool ok) override LARDER_EXCLUDES(mutex_);
  void OnWriteDone(bool ok) override LARDER_EXCLUDES(mutex_);
  void OnCancel() override LARDER_EXCLUDES(mutex_);
  void OnDone() override;

 private:
  absl::StatusOr<BeatAnswer> Hear(const peers::v1::SessionRequest& request);

  Manager& manager_;
  const SessionId id_;
  rpc::Context& context_;  // until Finish
  const base::Clock& clock_;
  const Events events_;
  // Of OnReadDone and OnDone, which gRPC calls one after the other.
  peers::v1::SessionRequest incoming_;
  peers::v1::SessionResponse outgoing_;
  std::string node_;  // empty until a hello was taken
  uint64_t sequence_ = 0;

  base::Mutex mutex_;
  base::MonotonicTime heard_ LARDER_GUARDED_BY(mutex_);
  bool writing_ LARDER_GUARDED_BY(mutex_) = false;
  bool cancelling_ LARDER_GUARDED_BY(mutex_) = false;  // needs `context_`: not finished meanwhile
  bool finished_ LARDER_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ LARDER_GUARDED_BY(mutex_);  // after both
};

}  // namespace larder::peer_manager
