#pragma once
#include <absl/status/statusor.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include "core/arriving_copies.h"
#include "core/tracked_peer.h"
#include "larder/base/mutex.h"
#include "larder/swarm/piece_source.h"

namespace larder::cache_agent {

// What this node gives to others: its sealed objects, and what has come of those that arrive, under the epochs by which
// the cluster knows them. Thread-safe.
class ServedPieces final : public swarm::PieceSource {
 public:
  // TrackedPeer::Serve, of a peer that outlives it.
  using Lookup = std::function<absl::StatusOr<TrackedPeer::Served>(const object::ObjectId&, object::Epoch)>;
  // CopyCheck::Look.
  using Doubted = std::function<void(const object::ObjectId&, object::Epoch, uint64_t offset, uint64_t size)>;
  // What is here, and who is told of what others doubt of it.
  struct Copies {
    Lookup lookup;
    Doubted doubted;
  };
  ServedPieces(Copies copies, const ArrivingCopies& arriving) : copies_(std::move(copies)), arriving_(arriving) {}
  absl::StatusOr<swarm::ServedObject> Find(const object::ObjectId& id, object::Epoch epoch,
                                           uint32_t piece_length) override LARDER_EXCLUDES(mutex_);
  void Doubt(const object::ObjectId& id, object::Epoch epoch, uint64_t offset, uint32_t size) override {
    copies_.doubted(id, epoch, offset, size);
  }

 private:
  // Manifests of what was asked for lately: children come in crowds.
  static constexpr size_t kKept = 256;
  using Key = std::tuple<object::ObjectId, object::Epoch, uint32_t>;
  using ManifestPtr = std::shared_ptr<const swarm::Manifest>;

  const Copies copies_;
  const ArrivingCopies& arriving_;
  base::Mutex mutex_;
  std::map<Key, ManifestPtr> manifests_ LARDER_GUARDED_BY(mutex_);
  std::deque<Key> order_ LARDER_GUARDED_BY(mutex_);  // the oldest first
};

}  // namespace larder::cache_agent
