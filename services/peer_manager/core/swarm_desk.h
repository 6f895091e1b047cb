#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/manager.h"
#include "core/swarms.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/observe/registry.h"

namespace larder::peer_manager {

// Swarms, put to work: calls of nodes come in, and are answered when there is something to tell, or when it is time.
// Thread-safe. Lock order: its own, then the manager's.
class SwarmDesk {
 public:
  using Told = std::vector<SwarmNews>;
  // Once, on any thread, under no lock.
  using Answer = std::function<void(absl::StatusOr<Told>)>;

  // Keeps `most` fetches. Borrows the rest.
  SwarmDesk(const Manager& manager, size_t most, const base::Clock& clock, observe::Registry& metrics);
  ~SwarmDesk();  // stops

  // PeerManager.Join: all that `node` fetches now. The node's call that waited is answered.
  struct Call {
    NodeRef node;
    uint64_t sequence = 0;
    bool wait = false;
    std::vector<Fetching> fetching;
  };
  void Join(Call call, Answer answer) LARDER_EXCLUDES(mutex_);
  // Answers calls whose time has come, and forgets who is not live, or silent. To be called a few times a second.
  void Round() LARDER_EXCLUDES(mutex_);
  // Answers all calls, and those to come, with UNAVAILABLE (STOPPING). Idempotent.
  void Stop() LARDER_EXCLUDES(mutex_);

 private:
  struct Caller {
    NodeRef node;
    uint64_t sequence = 0;
    base::MonotonicTime heard;
    Answer waiting;  // empty: no call is open
  };
  using Answers = std::vector<std::pair<Answer, absl::StatusOr<Told>>>;

  absl::Status Take(Call& call, Answer& answer, base::MonotonicTime now, Answers& out) LARDER_REQUIRES(mutex_);
  // Answers the node's open call, if it has one, and there is something to tell.
  void TellNews(const std::string& node, Answers& out) LARDER_REQUIRES(mutex_);
  Told NewsFor(const std::string& node) const LARDER_REQUIRES(mutex_);

  const Manager& manager_;
  const base::Duration session_;  // T_s
  const base::Clock& clock_;
  observe::Counter& joins_;
  mutable base::Mutex mutex_;
  Swarms swarms_ LARDER_GUARDED_BY(mutex_);
  std::map<std::string, Caller> callers_ LARDER_GUARDED_BY(mutex_);  // each that is in swarms_, and some others
  base::MonotonicTime look_at_ LARDER_GUARDED_BY(mutex_);            // who is live
  bool stopped_ LARDER_GUARDED_BY(mutex_) = false;
  std::vector<observe::Registry::Watch> watches_;  // last: they read the above
};

}  // namespace larder::peer_manager
