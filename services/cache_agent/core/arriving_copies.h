#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "larder/base/mutex.h"
#include "larder/object/peer.h"
#include "larder/observe/registry.h"
#include "larder/swarm/piece_source.h"

namespace larder::cache_agent {

// Copies of other nodes' objects on their way to this one: their pieces are given to others as soon as they are
// verified. Nobody takes such a copy for one that this node has. Thread-safe.
class ArrivingCopies {
 public:
  // A copy that may be given. Withdrawn when this ends; who is being given pieces of it then goes elsewhere. One call
  // at a time.
  class Offer {
   public:
    ~Offer();
    // From now on, as far as `pieces` says. Once.
    void Begin(std::shared_ptr<const swarm::Manifest> manifest, std::shared_ptr<swarm::PieceMap> pieces);
    // The copy is about to be sealed: it is not read any more, until Moved. Who is being given pieces waits.
    void BeginMove();
    // It lies there now, and is found as any sealed object; null: it lies nowhere.
    void Moved(std::shared_ptr<const object::BlobView> view);

   private:
    friend class ArrivingCopies;
    class Bytes;
    using Key = std::tuple<object::ObjectId, object::Epoch>;
    Offer(ArrivingCopies& copies, Key key, std::shared_ptr<const object::IncomingCopy> copy);

    ArrivingCopies& copies_;
    const Key key_;
    const std::shared_ptr<Bytes> bytes_;
    std::shared_ptr<swarm::PieceMap> pieces_;  // null before Begin
  };

  explicit ArrivingCopies(observe::Registry& metrics);
  // `epoch`: the cluster's. This must outlive the offer.
  std::shared_ptr<Offer> Make(const object::ObjectId& id, object::Epoch epoch,
                              std::shared_ptr<const object::IncomingCopy> copy);
  // None: none of that epoch arrives. Never blocks.
  std::optional<swarm::ServedObject> Find(const object::ObjectId& id, object::Epoch epoch) const
      LARDER_EXCLUDES(mutex_);

 private:
  observe::Counter& given_;
  mutable base::Mutex mutex_;
  std::map<Offer::Key, swarm::ServedObject> objects_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::cache_agent
