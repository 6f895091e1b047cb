#include "core/cgroup.h"

#include <gmock/gmock.h>

#include <ostream>
#include <string>
#include <vector>

#include "larder/base/testing/status_matchers.h"

namespace larder::cache_agent {
namespace {

using base::StatusIs;

const std::string kPod = "8dbc5577-d0e2-4706-8787-57d52c03ddf2";
const std::string kPodSlice = "8dbc5577_d0e2_4706_8787_57d52c03ddf2";
const std::string kOtherPod = "d3a1c9f0-52c4-4b0e-9f7e-0c1f6a1b2c3d";
const std::string kOtherSlice = "d3a1c9f0_52c4_4b0e_9f7e_0c1f6a1b2c3d";
const std::string kStatic = "8b6cbd5cfd2a6ed4b1fb4df4d37b8a2e";
const std::string kId = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const std::string kNodeId = "aaaabbbbccccddddeeeeffff0000111122223333444455556666777788889999";

struct Sample {
  std::string name;
  std::string text;
  CgroupPod pod;  // without a uid: none
};
void PrintTo(const Sample& sample, std::ostream* out) { *out << sample.text; }

std::vector<Sample> Samples() {
  const CgroupPod in_container = {.uid = kPod, .container = kId};
  return {
      {"ContainerdSystemd",
       "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kPodSlice + ".slice/cri-containerd-" +
           kId + ".scope\n",
       in_container},
      {"ContainerdCgroupfs", "0::/kubepods/burstable/pod" + kPod + "/" + kId + "\n", in_container},
      {"BestEffort", "0::/kubepods/besteffort/pod" + kPod + "/" + kId + "\n", in_container},
      {"Guaranteed", "0::/kubepods.slice/kubepods-pod" + kPodSlice + ".slice/cri-containerd-" + kId + ".scope\n",
       in_container},
      {"GuaranteedCgroupfs", "0::/kubepods/pod" + kPod + "/" + kId + "\n", in_container},
      {"CrioSystemd",
       "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + kPodSlice + ".slice/crio-" + kId +
           ".scope\n",
       in_container},
      {"CrioWithCrun",
       "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + kPodSlice + ".slice/crio-" + kId +
           ".scope/container\n",
       in_container},
      {"CrioCgroupfs", "0::/kubepods/burstable/pod" + kPod + "/crio-" + kId + "\n", in_container},
      {"CriosMonitor",
       "0::/kubepods.slice/kubepods-pod" + kPodSlice + ".slice/crio-conmon-" + kId + ".scope\n",
       {.uid = kPod}},
      {"DockerSystemd",
       "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kPodSlice + ".slice/docker-" + kId +
           ".scope\n",
       in_container},
      {"DockerVersion1",
       "12:pids:/kubepods/burstable/pod" + kPod + "/" + kId + "\n11:hugetlb:/kubepods/burstable/pod" + kPod + "/" +
           kId + "\n10:net_cls,net_prio:/kubepods/burstable/pod" + kPod + "/" + kId +
           "\n4:cpu,cpuacct:/kubepods/burstable/pod" + kPod + "/" + kId + "\n1:name=systemd:/kubepods/burstable/pod" +
           kPod + "/" + kId + "\n",
       in_container},
      {"ContainerdSystemdVersion1",
       "11:memory:/kubepods.slice/kubepods-pod" + kPodSlice + ".slice/cri-containerd-" + kId +
           ".scope\n2:cpuset:/kubepods.slice/kubepods-pod" + kPodSlice + ".slice/cri-containerd-" + kId +
           ".scope\n1:name=systemd:/kubepods.slice/kubepods-pod" + kPodSlice + ".slice/cri-containerd-" + kId +
           ".scope\n0::/kubepods.slice/kubepods-pod" + kPodSlice + ".slice/cri-containerd-" + kId + ".scope\n",
       in_container},
      {"Hybrid",
       "13:rdma:/\n4:memory:/kubepods/besteffort/pod" + kPod + "/" + kId + "\n1:name=systemd:/kubepods/besteffort/pod" +
           kPod + "/" + kId + "\n0::/system.slice/containerd.service\n",
       in_container},
      {"InThePodsOwnCgroup", "0::/kubepods/burstable/pod" + kPod + "\n", {.uid = kPod}},
      {"StaticPod",
       "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kStatic + ".slice/cri-containerd-" + kId +
           ".scope\n",
       {.uid = kStatic, .container = kId}},
      {"StaticPodCgroupfs",
       "0::/kubepods/burstable/pod" + kStatic + "/" + kId + "\n",
       {.uid = kStatic, .container = kId}},
      {"KindFromItsNode",
       "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
       "kubelet-kubepods-besteffort-pod" +
           kPodSlice + ".slice/cri-containerd-" + kId + ".scope\n",
       in_container},
      {"KindFromItsHost",
       "0::/system.slice/docker-" + kNodeId + ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" +
           kPodSlice + ".slice/cri-containerd-" + kId + ".scope\n",
       in_container},
      {"KindVersion1", "9:pids:/docker/" + kNodeId + "/kubelet/kubepods/besteffort/pod" + kPod + "/" + kId + "\n",
       in_container},
      {"K3s", "0::/kubepods/besteffort/pod" + kPod + "/" + kId + "\n", in_container},
      {"K3sInAService", "7:devices:/system.slice/k3s.service/kubepods/burstable/pod" + kPod + "/" + kId + "\n",
       in_container},
      // From an agent whose container has a cgroup namespace.
      {"PodOfAnotherClass",
       "0::/../../../kubepods-besteffort.slice/kubepods-besteffort-pod" + kPodSlice + ".slice/cri-containerd-" + kId +
           ".scope\n",
       in_container},
      {"PodOfTheSameClass",
       "0::/../../kubepods-burstable-pod" + kPodSlice + ".slice/cri-containerd-" + kId + ".scope\n", in_container},
      {"PodOfTheSameClassCgroupfs", "0::/../../pod" + kPod + "/" + kId + "\n", in_container},
      {"PodOfAnotherClassCgroupfs", "0::/../../../besteffort/pod" + kPod + "/" + kId + "\n", in_container},
      {"GuaranteedPodFromBelow", "0::/../../../kubepods-pod" + kPodSlice + ".slice/docker-" + kId + ".scope\n",
       in_container},
      {"GuaranteedPodFromBelowCgroupfs", "0::/../../../pod" + kPod + "/" + kId + "\n", in_container},
      {"PodFromAServicesNamespace",
       "0::/../../kubepods.slice/kubepods-pod" + kPodSlice + ".slice/crio-" + kId + ".scope\n", in_container},
      {"NeighbourInTheAgentsPod", "0::/../cri-containerd-" + kId + ".scope\n", {}},
      {"AgentsOwnContainer", "0::/\n", {}},
      // No pods.
      {"SystemdUser", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-terminal-4242.scope\n", {}},
      {"SystemdUserVersion1",
       "11:devices:/user.slice\n8:pids:/user.slice/user-1000.slice/user@1000.service\n"
       "1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n",
       {}},
      {"SystemService", "0::/system.slice/ssh.service\n", {}},
      {"PlainDocker", "0::/system.slice/docker-" + kId + ".scope\n", {}},
      {"PlainDockerVersion1", "9:pids:/docker/" + kId + "\n1:name=systemd:/docker/" + kId + "\n", {}},
      {"Root", "0::/\n", {}},
      {"KubepodsItself", "0::/kubepods.slice/kubepods-burstable.slice\n", {}},
      {"Kubelet", "0::/system.slice/kubelet.service\n", {}},
      {"Nothing", "", {}},
  };
}

class PodOfCgroupsOf : public testing::TestWithParam<Sample> {};

TEST_P(PodOfCgroupsOf, IsFound) {
  const absl::StatusOr<CgroupPod> pod = PodOfCgroups(GetParam().text);
  if (GetParam().pod.uid.empty()) {
    EXPECT_THAT(pod, StatusIs(absl::StatusCode::kPermissionDenied, "NO_POD"));
    return;
  }
  ASSERT_THAT(pod, base::IsOk());
  EXPECT_EQ(pod->uid, GetParam().pod.uid);
  EXPECT_EQ(pod->container, GetParam().pod.container);
}

INSTANTIATE_TEST_SUITE_P(Recorded, PodOfCgroupsOf, testing::ValuesIn(Samples()),
                         [](const auto& info) { return info.param.name; });

// What a pod can name, below the cgroup it is given.
TEST(HostileCgroups, NamesBelowAPodsOwnDoNotCount) {
  const std::string cgroupfs = "0::/kubepods/burstable/pod" + kPod + "/" + kId;
  const std::string systemd = "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kPodSlice +
                              ".slice/cri-containerd-" + kId + ".scope";
  const std::string from_below = "0::/../../pod" + kPod + "/" + kId;
  for (const std::string& own : {cgroupfs, systemd, from_below}) {
    for (const std::string& named :
         {"/kubepods/burstable/pod" + kOtherPod + "/" + kId, "/pod" + kOtherPod, "/burstable/pod" + kOtherPod,
          "/kubepods.slice/kubepods-pod" + kOtherSlice + ".slice", "/kubepods-pod" + kOtherSlice + ".slice"}) {
      EXPECT_EQ(PodOfCgroups(own + named + "\n")->uid, kPod) << own + named;
    }
  }
}

TEST(HostileCgroups, ALooksAlikeIsNoPod) {
  const std::vector<std::string> paths = {
      "/user.slice/user-1000.slice/user@1000.service/kubepods/burstable/pod" + kPod + "/" + kId,
      "/user.slice/user-1000.slice/user@1000.service/kubepods.slice/kubepods-pod" + kPodSlice + ".slice",
      "/../user@1000.service/app.slice/kubepods/pod" + kPod,
      "/../../user-1000.slice/user@1000.service/kubepods/pod" + kPod,
      "/../" + kId + "/kubepods/burstable/pod" + kPod,  // a neighbour of the agent's container
      "/../cri-containerd-" + kId + ".scope/kubepods-pod" + kPodSlice + ".slice",
      "/pod" + kPod + "/" + kId,                    // not below kubepods
      "/burstable/pod" + kPod,                      // neither
      "/system.slice/x.service/pod" + kPod,         // neither
      "/kubepods/x/pod" + kPod,                     // not a class of service
      "/kubepods/burstable/x/pod" + kPod,           // not the class's own
      "/kubepods/burstable/besteffort/pod" + kPod,  // two classes
      "/kubepods/x/kubepods/pod" + kPod,            // the outer one counts
      "/kubepods2/pod" + kPod,
      "/xkubepods.slice/kubepods-pod" + kPodSlice + ".slice",
      "/kubepodsx.slice/kubepods-pod" + kPodSlice + ".slice",
      "/kubepods.slice/kubepods-pod" + kPod + ".slice",  // a slice below `kubepods-pod8dbc5577`…
      "/kubepods.slice/kubepods-x-pod" + kPodSlice + ".slice",
      "/kubepods.slice/kubepods-pod" + kPodSlice + ".scope",
      "/kubepods/Pod" + kPod,
      "/kubepods/pod",
      "/kubepods/pod" + kPod.substr(1),
      "/kubepods/pod" + kPod + "0",
      "/kubepods/pod8DBC5577-D0E2-4706-8787-57D52C03DDF2",
      "/kubepods/pod" + kPod + " (deleted)",  // no process is left in it
      "/a/../../kubepods/pod" + kPod + "x",
  };
  for (const std::string& path : paths) {
    EXPECT_THAT(PodOfCgroups("0::" + path + "\n"), StatusIs(absl::StatusCode::kPermissionDenied, "NO_POD")) << path;
  }
}

TEST(HostileCgroups, TwoPodsAreNone) {
  EXPECT_THAT(PodOfCgroups("3:pids:/kubepods/pod" + kPod + "/" + kId + "\n0::/kubepods/pod" + kOtherPod + "\n"),
              StatusIs(absl::StatusCode::kPermissionDenied, "TWO_PODS"));
  EXPECT_EQ(PodOfCgroups("3:pids:/kubepods/pod" + kPod + "\n0::/kubepods/pod" + kPod + "/" + kId + "\n")->container,
            kId);
}

TEST(HostileCgroups, HierarchiesThatAnybodyMayNameDoNotCount) {
  EXPECT_THAT(PodOfCgroups("14:name=own:/kubepods/pod" + kPod + "\n0::/system.slice/x.service\n"),
              StatusIs(absl::StatusCode::kPermissionDenied, "NO_POD"));
  EXPECT_EQ(PodOfCgroups("14:name=own:/kubepods/pod" + kOtherPod + "\n0::/kubepods/pod" + kPod + "\n")->uid, kPod);
  EXPECT_EQ(PodOfCgroups("14:pids,name=own:/kubepods/pod" + kPod + "\n")->uid, kPod) << "a controller has one place";
}

TEST(HostileCgroups, LinesThatAreNoneArePassedOver) {
  EXPECT_EQ(PodOfCgroups("x\n\n1\n2:pids\n:::\n0::/kubepods/pod" + kPod + "/a:b\n")->uid, kPod);
}

TEST(IsPodUid, TakesUuidsAndHashes) {
  EXPECT_TRUE(IsPodUid(kPod));
  EXPECT_TRUE(IsPodUid(kStatic));
  for (const std::string& bad : {std::string(), kPodSlice, kStatic + "0", std::string("g") + kStatic.substr(1),
                                 std::string(36, '-'), std::string(36, 'a'), kPod + "\n"}) {
    EXPECT_FALSE(IsPodUid(bad)) << bad;
  }
}

}  // namespace
}  // namespace larder::cache_agent
