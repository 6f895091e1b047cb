#include "csi/forked_mounter.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <array>
#include <future>

#include "larder/base/testing/status_matchers.h"

namespace larder::cache_agent::csi {
namespace {

using base::StatusIs;

const Place kPlace = {.pod_uid = "8dbc5577-d0e2-4706-8787-57d52c03ddf2", .name = "larder"};

TEST(ForkedMounter, ThatDoesNotAnswerIsGivenUp) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  const base::UniqueFd hung(ends[1]);
  ForkedMounter mounter(base::UniqueFd(ends[0]), std::chrono::milliseconds(20));
  std::promise<void> ended;
  mounter.OnEnd([&] { ended.set_value(); });
  EXPECT_THAT(mounter.Look(kPlace), StatusIs(absl::StatusCode::kUnavailable, "NO_MOUNTER"));
  ended.get_future().wait();  // the agent ends, and begins anew
  // An answer that is late is no answer to what is asked next.
  EXPECT_THAT(mounter.Unmount(kPlace), StatusIs(absl::StatusCode::kUnavailable, "NO_MOUNTER"));
}

}  // namespace
}  // namespace larder::cache_agent::csi
