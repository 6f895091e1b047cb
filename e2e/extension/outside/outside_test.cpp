// A backend, a transport and a peer that Larder's own build knows nothing of: they keep the contracts, and work
// together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "counting_peer.h"
#include "larder/backends/toy/backend.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/client/client.h"
#include "larder/object/testing/backend_contract.h"
#include "larder/object/testing/peer_contract.h"
#include "larder/object/testing/transport_contract.h"
#include "larder/transport/toy/transport.h"

namespace outside {
namespace {

using namespace larder;          // NOLINT: the project is not Larder's
using namespace larder::object;  // NOLINT
using base::IsOk;

struct Registries {
  Registries() {
    backends::toy::Register(backends);
    transport::toy::Register(transports);
    RegisterCountingPeer(peers, counts);
  }
  std::shared_ptr<Counts> counts = std::make_shared<Counts>();
  BackendRegistry backends{"backend"};
  PeerRegistry peers{"peer"};
  TransportRegistry transports{"transport"};
};

INSTANTIATE_TEST_SUITE_P(Outside, BackendContract, testing::ValuesIn(EntriesOf(Registries().backends)), NameOfEntry);
INSTANTIATE_TEST_SUITE_P(Outside, PeerContract, testing::ValuesIn(CasesOf(Registries().peers, Registries().backends)),
                         NameOfCase);
INSTANTIATE_TEST_SUITE_P(Outside, TransportContract,
                         testing::ValuesIn(TransportCasesOf(Registries().transports, Registries().peers,
                                                            Registries().backends)),
                         NameOfTransportCase);

TEST(Outside, APutAndAGetRunThroughAllThree) {
  const Registries all;
  TestNode node(**all.backends.Get("toy"));
  base::InlineExecutor executor;
  LARDER_ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<Peer> peer,
      (*all.peers.Get("counting"))
          ->make({.backends = {&node.backend()}, .clock = &node.clock(), .executor = &executor}));
  LARDER_ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<Listener> listener,
      (*all.transports.Get("toy"))
          ->listen({.address = "here",
                    .peer = peer.get(),
                    .clock = &node.clock(),
                    .executor = &executor,
                    .node = "node-0",
                    .identify = [](const CallerProcess& caller, const std::string& ns) -> absl::StatusOr<SessionOwner> {
                      return SessionOwner{.ns = ns, .pid = caller.pid};
                    }}));
  ASSERT_THAT(listener->Start(), IsOk());
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const std::unique_ptr<client::Client> client,
                                client::Client::Connect("toy://here", {.ns = "team-a", .transports = &all.transports}));
    const std::vector<std::byte> bytes = SampleBytes(100'000);
    ASSERT_THAT(client->Put({.key = "models/weights"}, bytes), IsOk());
    LARDER_ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectReader> reader, client->Get("models/weights"));
    std::vector<std::byte> out(reader->info().size);
    ASSERT_THAT(reader->Read(0, out), IsOk());
    EXPECT_TRUE(out == bytes);
    EXPECT_GE(node.Used(), bytes.size());
    EXPECT_EQ(all.counts->creates, 1u);
    EXPECT_EQ(all.counts->gets, 1u);
  }
  listener->Stop(base::kNoDeadline);
}

}  // namespace
}  // namespace outside
