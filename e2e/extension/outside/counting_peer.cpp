#include "counting_peer.h"

#include <string>
#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "larder/object/peer_decorator.h"
#include "larder/peers/peers.h"

namespace outside {
namespace {

using namespace larder;          // NOLINT: the project is not Larder's
using namespace larder::object;  // NOLINT

class CountingPeer final : public PeerDecorator {
 public:
  CountingPeer(std::unique_ptr<Peer> peer, std::shared_ptr<Counts> counts)
      : PeerDecorator(std::move(peer)), counts_(std::move(counts)) {}

  void Create(SessionId session, CreateRequest request, base::Deadline deadline,
              Done<absl::StatusOr<CreateGrant>> done) override {
    ++counts_->creates;
    PeerDecorator::Create(session, std::move(request), deadline, std::move(done));
  }
  void Get(SessionId session, const std::string& key, base::Deadline deadline,
           Done<absl::StatusOr<ReadGrant>> done) override {
    ++counts_->gets;
    PeerDecorator::Get(session, key, deadline, std::move(done));
  }

 private:
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
