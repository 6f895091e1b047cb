#include "larder/peers/peers.h"

#include "larder/peers/single_peer.h"

namespace larder::peers {

void Register(object::PeerRegistry& registry) {
  registry.Add({.name = "single",
                .help = "Objects of one backend.",
                .make = [](const object::PeerSettings& settings) -> absl::StatusOr<std::unique_ptr<object::Peer>> {
                  if (settings.backends.size() != 1) {
                    return base::InvalidArgument("BAD_PEER", "the single peer manages one backend, not {}",
                                                 settings.backends.size());
                  }
                  auto peer = std::make_unique<SinglePeer>(*settings.backends.front(), settings);
                  LARDER_RETURN_IF_ERROR(peer->Recover());
                  return peer;
                }});
}

}  // namespace larder::peers
