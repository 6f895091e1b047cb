#include "larder/object/testing/transport_contract.h"

#include "larder/backends/register_all.h"
#include "larder/peers/peers.h"
#include "larder/transport/register_all.h"

namespace larder::object {
namespace {

std::vector<TransportCase> AllTransportsOverAllPeersAndBackends() {
  TransportRegistry transports("transport");
  transport::RegisterAll(transports);
  PeerRegistry peers("peer");
  peers::Register(peers);
  BackendRegistry backends("backend");
  backends::RegisterAll(backends);
  return TransportCasesOf(transports, peers, backends);
}

INSTANTIATE_TEST_SUITE_P(Registry, TransportContract, testing::ValuesIn(AllTransportsOverAllPeersAndBackends()),
                         NameOfTransportCase);

TEST(TransportRegistryOfThisBuild, HasTransportsAndGivesEachNameOnce) {
  TransportRegistry registry("transport");
  transport::RegisterAll(registry);
  EXPECT_TRUE(registry.Check().ok());
  EXPECT_FALSE(registry.Names().empty());
}

}  // namespace
}  // namespace larder::object
