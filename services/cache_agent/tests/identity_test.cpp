#include "core/identity.h"

#include <gmock/gmock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "larder/base/clock.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/unique_fd.h"

namespace larder::cache_agent {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kUid = "8dbc5577-d0e2-4706-8787-57d52c03ddf2";
const std::string kInPod = "0::/kubepods/burstable/pod" + kUid + "/c\n";

class FakePods final : public PodDirectory {
 public:
  std::optional<Pod> Find(const std::string& uid) const override {
    if (uid != kUid) return std::nullopt;
    return Pod{.ns = "team-a", .name = "trainer-0"};
  }
};

TEST(IdentityByWord, IsAnyWellFormedNamespace) {
  const object::Identify identify = IdentifyByWord();
  LARDER_ASSERT_OK_AND_ASSIGN(const object::SessionOwner owner, identify({.pid = 7}, "team-a"));
  EXPECT_EQ(owner.ns, "team-a");
  EXPECT_EQ(owner.pid, 7);
  EXPECT_EQ(identify({.pid = 7}, "")->ns, "default");
  EXPECT_THAT(identify({.pid = 7}, "Team/A"), StatusIs(StatusCode::kInvalidArgument, "BAD_NAMESPACE"));
}

TEST(IdentityByCgroups, IsThePodsNamespaceAskedForOrNot) {
  for (const char* asked : {"", "team-a"}) {
    LARDER_ASSERT_OK_AND_ASSIGN(const PodCaller caller, PodByCgroups(kInPod, FakePods(), asked));
    EXPECT_EQ(caller.pod.ns, "team-a");
    EXPECT_EQ(caller.place.uid, kUid);
  }
}

TEST(IdentityByCgroups, IsRefusedWithWhatToDo) {
  const std::string unknown = "0::/kubepods/pod8b6cbd5cfd2a6ed4b1fb4df4d37b8a2e\n";
  const FakePods pods;
  struct Case {
    std::string cgroups, asked, reason, said;
  };
  for (const Case& c : {Case{"0::/system.slice/ssh.service\n", "", "NO_POD", "only pods"},
                        Case{kInPod + "1:pids:/kubepods/pod8b6cbd5cfd2a6ed4b1fb4df4d37b8a2e\n", "", "TWO_PODS", "one"},
                        Case{unknown, "", "UNKNOWN_POD", "pods_file"},
                        Case{kInPod, "team-b", "FOREIGN_NAMESPACE", "pod team-a/trainer-0 may not use"}}) {
    const absl::Status refused = PodByCgroups(c.cgroups, pods, c.asked).status();
    EXPECT_THAT(refused, StatusIs(StatusCode::kPermissionDenied, c.reason));
    EXPECT_THAT(base::Message(refused), HasSubstr(c.said));
  }
  EXPECT_THAT(PodByCgroups(kInPod, pods, "Team/B"), StatusIs(StatusCode::kInvalidArgument, "BAD_NAMESPACE"));
}

TEST(IdentityByCgroups, OfThisTestIsNoPods) {
  const base::SystemClock clock;
  std::vector<std::string> lines;
  observe::Logger log(
      {.level = observe::LogLevel::kDebug, .output = [&](std::string_view line) { lines.emplace_back(line); }}, clock);
  const FakePods pods;
  const object::Identify identify = IdentifyByCgroup(pods, log);
  const base::UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  // Also where the test runs in a pod: not one that FakePods knows.
  EXPECT_THAT(identify({.pid = ::getpid(), .pidfd = self.get()}, ""), StatusIs(StatusCode::kPermissionDenied));
  EXPECT_THAT(lines, ElementsAre(HasSubstr("caller refused")));
  EXPECT_THAT(identify({.pid = 0, .pidfd = -1}, ""), StatusIs(StatusCode::kPermissionDenied, "CALLER_UNSEEN"));
}

TEST(IdentityOfCalls, IsTheirWordOrNobodys) {
  EXPECT_EQ(IdentifyCalls(Identity::kOpen)({}, "team-a")->ns, "team-a");
  const absl::Status refused = IdentifyCalls(Identity::kCgroup)({}, "team-a").status();
  EXPECT_THAT(refused, StatusIs(StatusCode::kPermissionDenied, "NO_TOKEN"));
  EXPECT_THAT(base::Message(refused), HasSubstr("larder-session-bin"));
}

TEST(Identity, DecidesWhoMayConnectAtAll) {
  EXPECT_EQ(SocketMode(Identity::kOpen), 0666u);
  EXPECT_EQ(SocketMode(Identity::kCgroup), 0660u);
}

TEST(Identity, ByCgroupNeedsToKnowThePods) {
  EXPECT_THAT(CheckIdentity({.identity = Identity::kOpen}), IsOk());
  EXPECT_THAT(CheckIdentity({.identity = Identity::kCgroup, .pods_file = "/p"}), IsOk());
  const absl::Status refused = CheckIdentity({.identity = Identity::kCgroup});
  EXPECT_THAT(refused, StatusIs(StatusCode::kInvalidArgument, "MISSING_SETTING"));
  EXPECT_THAT(base::Message(refused), HasSubstr("pods_file"));
}

}  // namespace
}  // namespace larder::cache_agent
