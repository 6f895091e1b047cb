#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <string_view>

#include "core/served_pieces.h"
#include "larder/base/executor.h"
#include "larder/base/mutex.h"
#include "larder/object/peer.h"
#include "larder/observe/logger.h"
#include "larder/observe/registry.h"

namespace larder::cache_agent {

// What came of looking at bytes that a child doubts.
enum class DoubtResult : uint8_t { kOk, kDamaged, kUnread };
std::string_view LabelText(DoubtResult result);

// Looks at bytes of this node's copies that others say came wrong from here, and drops a copy that is damaged, so that
// the cluster hears that it went. What others say is a reason to look, and no more: a copy that is sound stays.
// Thread-safe.
class CopyCheck {
 public:
  // All must outlive it, and what is queued with the executor.
  struct Parts {
    ServedPieces::Lookup lookup;
    object::Peer& peer;        // that has the copies, and brings none from elsewhere
    base::Executor& executor;  // reads may wait for a disk
    observe::Logger& log;
  };
  // Looks under way; who doubts when there are more is not heard, and will be when the bytes come wrong again.
  static constexpr size_t kAtOnce = 16;

  CopyCheck(Parts parts, observe::Registry& metrics);
  // Looks at `size` bytes at `offset` of the copy of that epoch of the cluster's. Never blocks.
  void Look(const object::ObjectId& id, object::Epoch epoch, uint64_t offset, uint64_t size) LARDER_EXCLUDES(mutex_);

 private:
  void Judge(const TrackedPeer::Served& copy, uint64_t offset, uint64_t size);
  void Drop(const object::ObjectInfo& damaged);

  const Parts parts_;
  observe::Counters<DoubtResult> results_;
  base::Mutex mutex_;
  size_t under_way_ LARDER_GUARDED_BY(mutex_) = 0;
};

// Reads the grains of which `size` bytes at `offset` are part: OK if they are as they were sealed, DATA_LOSS (CHECKSUM)
// if they are not, and what the read says if there is nothing to compare. May block on a disk.
absl::Status CheckBytes(const object::BlobView& view, uint64_t offset, uint64_t size);

}  // namespace larder::cache_agent
