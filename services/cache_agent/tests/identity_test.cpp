#include "core/identity.h"

#include <gmock/gmock.h>

#include "larder/base/testing/status_matchers.h"

namespace larder::cache_agent {
namespace {

using base::StatusIs;

TEST(OpenIdentity, TakesTheCallersWordForAWellFormedNamespace) {
  const Identify identify = IdentifyBy(Identity::kOpen);
  LARDER_ASSERT_OK_AND_ASSIGN(const object::SessionOwner owner, identify(7, "team-a"));
  EXPECT_EQ(owner.ns, "team-a");
  EXPECT_EQ(owner.pid, 7);
  EXPECT_EQ(identify(7, "")->ns, "default");
  EXPECT_THAT(identify(7, "Team/A"), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_NAMESPACE"));
}

}  // namespace
}  // namespace larder::cache_agent
