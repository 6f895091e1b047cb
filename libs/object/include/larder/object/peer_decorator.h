#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "larder/object/peer.h"

namespace larder::object {

// Passes every call on to another peer: a base for what counts, slows or changes some of them. Thread-safe as that one.
class PeerDecorator : public Peer {
 public:
  explicit PeerDecorator(std::unique_ptr<Peer> inner) : inner_(std::move(inner)) {}

  absl::StatusOr<SessionId> OpenSession(const SessionOwner& owner, LapsedFn lapsed = nullptr) override {
    return inner_->OpenSession(owner, std::move(lapsed));
  }
  void CloseSession(SessionId session) override { inner_->CloseSession(session); }
  void Create(SessionId session, CreateRequest request, base::Deadline deadline,
              Done<absl::StatusOr<CreateGrant>> done) override {
    inner_->Create(session, std::move(request), deadline, std::move(done));
  }
  absl::Status Append(SessionId session, LeaseId lease, Epoch epoch, base::ByteSpan bytes) override {
    return inner_->Append(session, lease, epoch, bytes);
  }
  void Seal(SessionId session, LeaseId lease, Epoch epoch, const SealRequest& request,
            Done<absl::StatusOr<SealResult>> done) override {
    inner_->Seal(session, lease, epoch, request, std::move(done));
  }
  absl::Status Discard(SessionId session, LeaseId lease, Epoch epoch) override {
    return inner_->Discard(session, lease, epoch);
  }
  void Get(SessionId session, const std::string& key, base::Deadline deadline,
           Done<absl::StatusOr<ReadGrant>> done) override {
    inner_->Get(session, key, deadline, std::move(done));
  }
  void GetRange(SessionId session, const std::string& key, const ByteRange& range, base::Deadline deadline,
                Done<absl::StatusOr<ReadGrant>> done) override {
    inner_->GetRange(session, key, range, deadline, std::move(done));
  }
  absl::StatusOr<std::shared_ptr<const BlobView>> ViewOf(SessionId session, LeaseId lease) override {
    return inner_->ViewOf(session, lease);
  }
  void Release(SessionId session, LeaseId lease) override { inner_->Release(session, lease); }
  absl::StatusOr<std::vector<LeaseId>> Renew(SessionId session) override { return inner_->Renew(session); }
  void BeginWork(SessionId session) override { inner_->BeginWork(session); }
  void EndWork(SessionId session) override { inner_->EndWork(session); }
  bool AwaitRoom(SessionId session, const absl::Status& why, uint64_t bytes, base::Deadline deadline,
                 std::function<void()> done) override {
    return inner_->AwaitRoom(session, why, bytes, deadline, std::move(done));
  }
  void ReportDamage(SessionId session, LeaseId lease) override { inner_->ReportDamage(session, lease); }
  void Stat(SessionId session, const std::string& key, Done<absl::StatusOr<ObjectStat>> done) override {
    inner_->Stat(session, key, std::move(done));
  }
  void List(SessionId session, const ListRequest& request, Done<absl::StatusOr<ListPage>> done) override {
    inner_->List(session, request, std::move(done));
  }
  void Delete(SessionId session, const std::string& key, Done<absl::Status> done) override {
    inner_->Delete(session, key, std::move(done));
  }
  void SetPinned(SessionId session, const std::string& key, bool pinned, Done<absl::Status> done) override {
    inner_->SetPinned(session, key, pinned, std::move(done));
  }
  std::vector<ObjectInfo> ListSealed(const ObjectId& after, size_t limit) const override {
    return inner_->ListSealed(after, limit);
  }
  std::optional<ObjectInfo> FindSealed(const ObjectId& id) const override { return inner_->FindSealed(id); }
  std::shared_ptr<const BlobView> SealedView(const ObjectId& id, Epoch epoch) override {
    return inner_->SealedView(id, epoch);
  }
  void Receive(const ObjectInfo& info, base::Deadline deadline,
               Done<absl::StatusOr<std::unique_ptr<IncomingCopy>>> done) override {
    inner_->Receive(info, deadline, std::move(done));
  }
  void DropParked(const ObjectId& id) override { inner_->DropParked(id); }
  absl::Status SetTracked(const ObjectId& id, Epoch epoch, const TrackedAs& tracked) override {
    return inner_->SetTracked(id, epoch, tracked);
  }
  absl::Status Drop(const ObjectId& id, Epoch epoch) override { return inner_->Drop(id, epoch); }
  void OnDropped(DroppedFn dropped) override { inner_->OnDropped(std::move(dropped)); }
  void AskBeforeDropping(MayGoFn may_go) override { inner_->AskBeforeDropping(std::move(may_go)); }
  PeerUsage usage() const override { return inner_->usage(); }
  bool blocks() const override { return inner_->blocks(); }
  base::Duration Tick() override { return inner_->Tick(); }

 protected:
  Peer& inner() { return *inner_; }
  // For a destructor: the inner peer answers those who wait when it ends, maybe through what the derived class has.
  void EndInner() { inner_.reset(); }

 private:
  std::unique_ptr<Peer> inner_;
};

}  // namespace larder::object
