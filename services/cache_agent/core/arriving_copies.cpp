#include "core/arriving_copies.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace larder::cache_agent {
namespace {

constexpr observe::CounterDecl<> kGiven = {
    .name = "larder_swarm_in_progress_bytes_total",
    .help = "Bytes given to other nodes of copies that were themselves still on their way here."};

}  // namespace

// Where the bytes lie now: in the copy, then in what it was sealed to.
class ArrivingCopies::Offer::Bytes final : public swarm::PieceBytes {
 public:
  Bytes(std::shared_ptr<const object::IncomingCopy> copy, observe::Counter& given)
      : given_(given), copy_(std::move(copy)) {}

  // Of the copy, bytes of its own: a seal moves the copy's, and whoever has them then may free them.
  Stretch At(uint64_t offset, uint64_t most) const override LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (sealed_ != nullptr) return sealed_->At(offset, most);
    if (copy_ == nullptr) return {};
    const auto bytes = std::make_shared<std::vector<std::byte>>(most);
    if (!copy_->ReadKept(offset, *bytes).ok()) return {};
    given_.Increment(most);
    return {.memory = *bytes, .size = most, .keep = bytes};
  }
  void Move(std::shared_ptr<const swarm::PieceBytes> sealed) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    copy_ = nullptr;
    sealed_ = std::move(sealed);
  }

 private:
  observe::Counter& given_;
  mutable base::Mutex mutex_;
  std::shared_ptr<const object::IncomingCopy> copy_ LARDER_GUARDED_BY(mutex_);
  std::shared_ptr<const swarm::PieceBytes> sealed_ LARDER_GUARDED_BY(mutex_);
};

ArrivingCopies::Offer::Offer(ArrivingCopies& copies, Key key, std::shared_ptr<const object::IncomingCopy> copy)
    : copies_(copies), key_(std::move(key)), bytes_(std::make_shared<Bytes>(std::move(copy), copies.given_)) {}

ArrivingCopies::Offer::~Offer() {
  if (pieces_ != nullptr) Moved(nullptr);
}

void ArrivingCopies::Offer::Begin(std::shared_ptr<const swarm::Manifest> manifest,
                                  std::shared_ptr<swarm::PieceMap> pieces) {
  pieces_ = pieces;
  base::MutexLock lock(copies_.mutex_);
  copies_.objects_[key_] = {.manifest = std::move(manifest), .bytes = bytes_, .pieces = std::move(pieces)};
}

void ArrivingCopies::Offer::BeginMove() {
  // Before its bytes go, so that nobody takes them for lost.
  if (pieces_ != nullptr) pieces_->SetMoving(true);
  bytes_->Move(nullptr);
}

void ArrivingCopies::Offer::Moved(std::shared_ptr<const object::BlobView> view) {
  bytes_->Move(view == nullptr ? nullptr : swarm::BytesOfView(std::move(view)));
  if (pieces_ == nullptr) return;
  {
    base::MutexLock lock(copies_.mutex_);
    const auto found = copies_.objects_.find(key_);
    // Another fetch of the same may have begun meanwhile.
    if (found != copies_.objects_.end() && found->second.bytes == bytes_) copies_.objects_.erase(found);
  }
  std::exchange(pieces_, nullptr)->SetMoving(false);
}

ArrivingCopies::ArrivingCopies(observe::Registry& metrics) : given_(metrics.Add(kGiven)) {}

std::shared_ptr<ArrivingCopies::Offer> ArrivingCopies::Make(const object::ObjectId& id, object::Epoch epoch,
                                                            std::shared_ptr<const object::IncomingCopy> copy) {
  return std::shared_ptr<Offer>(new Offer(*this, {id, epoch}, std::move(copy)));
}

std::optional<swarm::ServedObject> ArrivingCopies::Find(const object::ObjectId& id, object::Epoch epoch) const {
  base::MutexLock lock(mutex_);
  const auto found = objects_.find({id, epoch});
  if (found == objects_.end()) return std::nullopt;
  return found->second;
}

}  // namespace larder::cache_agent
