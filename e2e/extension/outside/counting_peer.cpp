#include "counting_peer.h"

#include <string>
#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "larder/peers/peers.h"

namespace outside {
namespace {

using namespace larder;          // NOLINT: the project is not Larder's
using namespace larder::object;  // NOLINT

class CountingPeer final : public Peer {
 public:
  CountingPeer(std::unique_ptr<Peer> peer, std::shared_ptr<Counts> counts)
      : peer_(std::move(peer)), counts_(std::move(counts)) {}

  absl::StatusOr<SessionId> OpenSession(const SessionOwner& owner) override { return peer_->OpenSession(owner); }
  void CloseSession(SessionId session) override { peer_->CloseSession(session); }
  void Create(SessionId session, CreateRequest request, base::Deadline deadline,
              Done<absl::StatusOr<CreateGrant>> done) override {
    ++counts_->creates;
    peer_->Create(session, std::move(request), deadline, std::move(done));
  }
  absl::Status Append(SessionId session, LeaseId lease, Epoch epoch, base::ByteSpan bytes) override {
    return peer_->Append(session, lease, epoch, bytes);
  }
  void Seal(SessionId session, LeaseId lease, Epoch epoch, const SealRequest& request,
            Done<absl::StatusOr<SealResult>> done) override {
    peer_->Seal(session, lease, epoch, request, std::move(done));
  }
  absl::Status Discard(SessionId session, LeaseId lease, Epoch epoch) override {
    return peer_->Discard(session, lease, epoch);
  }
  void Get(SessionId session, const std::string& key, base::Deadline deadline,
           Done<absl::StatusOr<ReadGrant>> done) override {
    ++counts_->gets;
    peer_->Get(session, key, deadline, std::move(done));
  }
  absl::StatusOr<std::shared_ptr<const BlobView>> ViewOf(SessionId session, LeaseId lease) override {
    return peer_->ViewOf(session, lease);
  }
  void Release(SessionId session, LeaseId lease) override { peer_->Release(session, lease); }
  absl::StatusOr<std::vector<LeaseId>> Renew(SessionId session) override { return peer_->Renew(session); }
  absl::StatusOr<ObjectInfo> Stat(SessionId session, const std::string& key) override {
    return peer_->Stat(session, key);
  }
  absl::StatusOr<ListPage> List(SessionId session, const ListRequest& request) override {
    return peer_->List(session, request);
  }
  absl::Status Delete(SessionId session, const std::string& key) override { return peer_->Delete(session, key); }
  absl::Status SetPinned(SessionId session, const std::string& key, bool pinned) override {
    return peer_->SetPinned(session, key, pinned);
  }
  PeerUsage usage() const override { return peer_->usage(); }
  bool blocks() const override { return peer_->blocks(); }
  void Tick() override { peer_->Tick(); }

 private:
  const std::unique_ptr<Peer> peer_;
  const std::shared_ptr<Counts> counts_;
};

}  // namespace

void RegisterCountingPeer(PeerRegistry& registry, std::shared_ptr<Counts> counts) {
  registry.Add({.name = "counting",
                .help = "The single peer, counted.",
                .make = [counts](const PeerSettings& settings) -> absl::StatusOr<std::unique_ptr<Peer>> {
                  PeerRegistry built_in("peer");
                  peers::Register(built_in);
                  LARDER_ASSIGN_OR_RETURN(const PeerEntry* single, built_in.Get("single"));
                  LARDER_ASSIGN_OR_RETURN(std::unique_ptr<Peer> peer, single->make(settings));
                  return std::make_unique<CountingPeer>(std::move(peer), counts);
                }});
}

}  // namespace outside
