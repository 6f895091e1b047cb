#pragma once
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "larder/arena/arena.h"
#include "larder/base/clock.h"
#include "larder/base/executor.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/object/registries.h"

namespace larder::object {

struct TransportCase {
  TransportEntry transport;
  PeerEntry peer;
  BackendEntry backend;
};

// What every transport keeps, over every peer and backend: the same calls, the same answers
// (libs/object/include/larder/object/transport.h). Clocks are real. The address is a path in a fresh directory; a
// transport that needs none takes it as a name. To run it over the registries:
//   INSTANTIATE_TEST_SUITE_P(Registry, TransportContract, testing::ValuesIn(TransportCasesOf(transports, peers,
//                            backends)), NameOfTransportCase);
class TransportContract : public testing::TestWithParam<TransportCase> {
 protected:
  void SetUp() override;
  void TearDown() override;
  void Listen();
  const TransportEntry& Entry() { return GetParam().transport; }
  std::string Address() { return (dir_.path() / "s").string(); }
  std::unique_ptr<Channel> Dial(const std::string& ns = "");
  static std::vector<std::byte> ReadAll(ObjectReader& reader);

  base::TempDir dir_;
  base::SystemClock clock_;
  base::ThreadPool pool_{"test", 2};
  std::unique_ptr<arena::Arena> arena_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Peer> peer_;
  std::unique_ptr<Listener> listener_;
};

std::vector<TransportCase> TransportCasesOf(const TransportRegistry& transports, const PeerRegistry& peers,
                                            const BackendRegistry& backends);
std::string NameOfTransportCase(const testing::TestParamInfo<TransportCase>& info);
// For readable test names; found by argument-dependent lookup.
void PrintTo(const TransportCase& transport_case, std::ostream* out);

}  // namespace larder::object
