#include "larder/object/testing/backend_contract.h"

#include "larder/backends/register_all.h"

namespace larder::object {
namespace {

std::vector<BackendEntry> AllBackends() {
  BackendRegistry registry("backend");
  backends::RegisterAll(registry);
  return EntriesOf(registry);
}

INSTANTIATE_TEST_SUITE_P(Registry, BackendContract, testing::ValuesIn(AllBackends()), NameOfEntry);

TEST(BackendRegistryOfThisBuild, HasBackendsAndGivesEachNameOnce) {
  BackendRegistry registry("backend");
  backends::RegisterAll(registry);
  EXPECT_TRUE(registry.Check().ok());
  EXPECT_FALSE(registry.Names().empty());
}

}  // namespace
}  // namespace larder::object
