#pragma once
#include <memory>

#include "larder/object/backend.h"
#include "larder/object/peer.h"
#include "larder/object/registries.h"

namespace larder::peers {

// The manager of one backend's objects: an island, which acknowledges `local`.
class SinglePeer final : public object::Peer {
 public:
  // Leases of one session: more than any honest client holds, few enough that one cannot exhaust the agent.
  static constexpr size_t kMaxLeases = 65536;

  // `backend` outlives the peer.
  SinglePeer(object::Backend& backend, const object::PeerSettings& settings);
  ~SinglePeer() override;
  // Takes over what the backend kept; before any session.
  absl::Status Recover();

  absl::StatusOr<object::SessionId> OpenSession(const object::SessionOwner& owner,
                                                object::LapsedFn lapsed = nullptr) override;
  void CloseSession(object::SessionId session) override;
  void Create(object::SessionId session, object::CreateRequest request, base::Deadline deadline,
              object::Done<absl::StatusOr<object::CreateGrant>> done) override;
  absl::Status Append(object::SessionId session, object::LeaseId lease, object::Epoch epoch,
                      base::ByteSpan bytes) override;
  void Seal(object::SessionId session, object::LeaseId lease, object::Epoch epoch, const object::SealRequest& request,
            object::Done<absl::StatusOr<object::SealResult>> done) override;
  absl::Status Discard(object::SessionId session, object::LeaseId lease, object::Epoch epoch) override;
  void Get(object::SessionId session, const std::string& key, base::Deadline deadline,
           object::Done<absl::StatusOr<object::ReadGrant>> done) override;
  absl::StatusOr<std::shared_ptr<const object::BlobView>> ViewOf(object::SessionId session,
                                                                 object::LeaseId lease) override;
  void Release(object::SessionId session, object::LeaseId lease) override;
  absl::StatusOr<std::vector<object::LeaseId>> Renew(object::SessionId session) override;
  void BeginWork(object::SessionId session) override;
  void EndWork(object::SessionId session) override;
  bool AwaitRoom(object::SessionId session, const absl::Status& why, uint64_t bytes, base::Deadline deadline,
                 std::function<void()> done) override;
  void ReportDamage(object::SessionId session, object::LeaseId lease) override;
  void Stat(object::SessionId session, const std::string& key,
            object::Done<absl::StatusOr<object::ObjectStat>> done) override;
  void List(object::SessionId session, const object::ListRequest& request,
            object::Done<absl::StatusOr<object::ListPage>> done) override;
  void Delete(object::SessionId session, const std::string& key, object::Done<absl::Status> done) override;
  void SetPinned(object::SessionId session, const std::string& key, bool pinned,
                 object::Done<absl::Status> done) override;
  std::vector<object::ObjectInfo> ListSealed(const object::ObjectId& after, size_t limit) const override;
  std::optional<object::ObjectInfo> FindSealed(const object::ObjectId& id) const override;
  std::shared_ptr<const object::BlobView> SealedView(const object::ObjectId& id, object::Epoch epoch) override;
  void Receive(const object::ObjectInfo& info, base::Deadline deadline,
               object::Done<absl::StatusOr<std::unique_ptr<object::IncomingCopy>>> done) override;
  void DropParked(const object::ObjectId& id) override;
  absl::Status SetTracked(const object::ObjectId& id, object::Epoch epoch, const object::TrackedAs& tracked) override;
  absl::Status Drop(const object::ObjectId& id, object::Epoch epoch) override;
  void OnDropped(object::DroppedFn dropped) override;
  void AskBeforeDropping(object::MayGoFn may_go) override;
  object::PeerUsage usage() const override;
  bool blocks() const override;
  base::Duration Tick() override;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace larder::peers
