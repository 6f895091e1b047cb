#pragma once
#include <functional>
#include <thread>

#include "csi/mounter.h"
#include "csi/mounter_wire.h"
#include "larder/base/mutex.h"
#include "larder/base/unique_fd.h"

namespace larder::cache_agent::csi {

// The mounter's process, asked over a socket, one request at a time. UNAVAILABLE (NO_MOUNTER): it has ended.
class ForkedMounter final : public Mounter {
 public:
  // `fd` is the agent's end.
  explicit ForkedMounter(base::UniqueFd fd) : fd_(std::move(fd)) {}
  ~ForkedMounter() override;

  absl::Status Mount(const Place& place) override;
  absl::Status Unmount(const Place& place) override;
  absl::StatusOr<MountState> Look(const Place& place) override;
  absl::Status Register() override;
  absl::Status Unregister() override;
  void OnEnd(std::function<void()> ended) override;

 private:
  absl::StatusOr<MounterReply> Ask(const MounterRequest& request) LARDER_EXCLUDES(mutex_);

  const base::UniqueFd fd_;
  base::Mutex mutex_;  // one request at a time
  base::UniqueFd stop_;
  std::thread watch_;
};

}  // namespace larder::cache_agent::csi
