#include "core/served_pieces.h"

#include <utility>

#include "larder/base/status.h"

namespace larder::cache_agent {

absl::StatusOr<swarm::ServedObject> ServedPieces::Find(const object::ObjectId& id, object::Epoch epoch,
                                                       uint32_t piece_length) {
  // First: it is sealed before it ceases to arrive.
  if (std::optional<swarm::ServedObject> arriving = arriving_.Find(id, epoch)) return *std::move(arriving);
  LARDER_ASSIGN_OR_RETURN(TrackedPeer::Served served, copies_.lookup(id, epoch));
  // Two nodes may have put the same content in other pieces: the cluster knows it by the first one's.
  if (piece_length == 0) piece_length = served.info.meta.piece_length;
  const Key key{id, served.info.epoch, piece_length};
  ManifestPtr manifest;
  {
    base::MutexLock lock(mutex_);
    if (const auto it = manifests_.find(key); it != manifests_.end()) manifest = it->second;
  }
  if (manifest == nullptr) {
    const object::ObjectInfo& info = served.info;
    LARDER_ASSIGN_OR_RETURN(swarm::Manifest made,
                            swarm::MakeManifest(info.size, served.view->grains(), piece_length, info.digest));
    manifest = std::make_shared<const swarm::Manifest>(std::move(made));
    base::MutexLock lock(mutex_);
    if (manifests_.emplace(key, manifest).second) order_.push_back(key);
    if (order_.size() > kKept) {
      manifests_.erase(order_.front());
      order_.pop_front();
    }
  }
  std::shared_ptr<const swarm::PieceBytes> bytes = swarm::BytesOfView(std::move(served.view));
  if (bytes == nullptr) {
    return base::Error(absl::StatusCode::kUnavailable, "READ_FAILED", "what keeps '{}' here cannot give its pieces",
                       id.key);
  }
  return swarm::ServedObject{.manifest = std::move(manifest), .bytes = std::move(bytes)};
}

}  // namespace larder::cache_agent
