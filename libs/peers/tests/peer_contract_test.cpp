#include "larder/object/testing/peer_contract.h"

#include "larder/backends/register_all.h"
#include "larder/peers/peers.h"

namespace larder::object {
namespace {

std::vector<PeerCase> AllPeersOverAllBackends() {
  PeerRegistry peers("peer");
  peers::Register(peers);
  BackendRegistry backends("backend");
  backends::RegisterAll(backends);
  return CasesOf(peers, backends);
}

INSTANTIATE_TEST_SUITE_P(Registry, PeerContract, testing::ValuesIn(AllPeersOverAllBackends()), NameOfCase);

}  // namespace
}  // namespace larder::object
