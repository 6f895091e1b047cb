#pragma once
#include <chrono>
#include <functional>
#include <thread>

#include "csi/mounter.h"
#include "csi/mounter_wire.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/base/unique_fd.h"

namespace larder::cache_agent::csi {

// The mounter's process, asked over a socket, one request at a time. UNAVAILABLE (NO_MOUNTER): it has ended, or did not
// answer in time, which ends it as far as the agent goes: a late answer would be taken for the next.
class ForkedMounter final : public Mounter {
 public:
  // `fd` is the agent's end. `patience` is for one answer: the kernel may keep a mount call from ending.
  explicit ForkedMounter(base::UniqueFd fd, base::Duration patience = std::chrono::seconds(20));
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
