#include "csi/volumes.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <memory>
#include <random>
#include <set>

#include "larder/base/bytes.h"
#include "larder/base/digest.h"
#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/observe/logger.h"
#include "tests/csi/scripted_node.h"

namespace larder::cache_agent::csi {
namespace {

using base::IsOk;
using base::StatusIs;
using testing::Not;

Volume VolumeNumber(int n) {
  Volume volume{.place = {.pod_uid = fmt::format("00000000-0000-4000-8000-{:012x}", n), .name = "larder"},
                .ns = "team-a",
                .pod = "trainer-" + std::to_string(n),
                .service_account = "trainer"};
  volume.id = VolumeIdOf(volume.place);
  return volume;
}

class VolumesTest : public testing::Test {
 protected:
  VolumesTest() { Restart(); }
  void Restart() {
    node_.Restart();
    volumes_ = std::make_unique<Volumes>(node_, node_, node_, clock_, log_);
    EXPECT_THAT(volumes_->Restore(), IsOk());
  }
  absl::Status Unpublish(const Volume& volume) { return volumes_->Unpublish(volume.id, volume.place); }

  ScriptedNode node_;
  base::ManualClock clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, clock_};
  std::unique_ptr<Volumes> volumes_;
  const Volume volume_ = VolumeNumber(1);
};

TEST_F(VolumesTest, APublishedVolumeIsServedUntilItIsUnpublished) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  EXPECT_TRUE(node_.IsServed(volume_));
  EXPECT_EQ(volumes_->size(), 1u);
  ASSERT_THAT(Unpublish(volume_), IsOk());
  EXPECT_TRUE(node_.IsEmpty());
  EXPECT_EQ(volumes_->size(), 0u);
}

TEST_F(VolumesTest, ARepeatedPublishKeepsOpenSockets) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  const int steps = node_.steps();
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  EXPECT_EQ(node_.steps(), steps + 1);  // the mount, which is looked at
}

TEST_F(VolumesTest, OneCallAtATimeIsAtWorkOnAVolume) {
  const Volume other = VolumeNumber(2);
  node_.while_mounting = [&] {
    EXPECT_THAT(volumes_->Publish(volume_), StatusIs(absl::StatusCode::kAborted, "BUSY"));
    EXPECT_THAT(Unpublish(volume_), StatusIs(absl::StatusCode::kAborted, "BUSY"));
    EXPECT_EQ(volumes_->Sweep(), 0);
    EXPECT_THAT(volumes_->Publish(other), IsOk()) << "another one is nobody's business";
  };
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  EXPECT_TRUE(node_.IsServed(volume_));
  EXPECT_TRUE(node_.IsServed(other));
  EXPECT_THAT(Unpublish(volume_), IsOk());
}

TEST_F(VolumesTest, UnpublishingWhatIsNotThereSucceeds) {
  EXPECT_THAT(Unpublish(volume_), IsOk());
  EXPECT_TRUE(node_.IsEmpty());
}

TEST_F(VolumesTest, AFailedPublishOfAPodThatRunsTakesNothingFromIt) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  node_.FailAt(0, EIO, /*killed=*/false);
  // Not a final code, at which the kubelet would take it for not mounted.
  EXPECT_THAT(volumes_->Publish(volume_), StatusIs(absl::StatusCode::kUnavailable, "HALF_PUBLISHED"));
  EXPECT_TRUE(node_.IsServed(volume_));
}

TEST_F(VolumesTest, AFailedPublishOfWhatIsMountedNoMoreLeavesNothing) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  node_.mounts.clear();
  node_.FailAt(0, EIO, /*killed=*/false);
  EXPECT_THAT(volumes_->Publish(volume_), StatusIs(absl::StatusCode::kInternal, "EIO"));
  EXPECT_TRUE(node_.IsEmpty());
}

TEST_F(VolumesTest, WhoMayDoNothingGetsNoVolume) {
  node_.admits = false;
  // A final code, with which the kubelet tells the pod's events why.
  EXPECT_THAT(volumes_->Publish(volume_), StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"));
  EXPECT_TRUE(node_.IsEmpty());
}

TEST_F(VolumesTest, WhoMayDoNothingAnyMoreKeepsItsVolume) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  node_.admits = false;
  EXPECT_THAT(volumes_->Publish(volume_), IsOk()) << "as a kubelet does that has restarted";
  Restart();
  EXPECT_THAT(volumes_->Publish(volume_), IsOk());
  EXPECT_TRUE(node_.IsServed(volume_));
}

TEST_F(VolumesTest, WhatCannotBeUndoneIsLeftToTheKubelet) {
  node_.FailAt(3, EIO, /*killed=*/true);  // the mount, and all that would undo it
  EXPECT_THAT(volumes_->Publish(volume_), StatusIs(absl::StatusCode::kUnavailable, "HALF_PUBLISHED"));
  node_.Heal();
  ASSERT_THAT(Unpublish(volume_), IsOk());
  EXPECT_TRUE(node_.IsEmpty());
}

TEST_F(VolumesTest, ADamagedRecordServesNobody) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  node_.records[volume_.id][40] ^= 1;
  Restart();
  EXPECT_TRUE(node_.open.empty());
  EXPECT_TRUE(node_.records.empty());
  EXPECT_FALSE(node_.directories.empty());          // the pod would not get another
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());  // the kubelet does, when it begins anew
  EXPECT_TRUE(node_.IsServed(volume_));
}

TEST_F(VolumesTest, ADirectoryWithoutARecordGoesOnceItIsNotMounted) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  node_.records.clear();
  Restart();
  EXPECT_FALSE(node_.directories.empty());
  node_.mounts.clear();
  Restart();
  EXPECT_TRUE(node_.directories.empty());
}

TEST_F(VolumesTest, ARecordThatCannotBeReadNowIsReadLater) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  node_.read_error = EMFILE;
  Restart();
  EXPECT_FALSE(node_.IsServed(volume_));
  volumes_->Sweep();
  EXPECT_TRUE(node_.records.contains(volume_.id));
  EXPECT_FALSE(node_.directories.empty());
  node_.read_error = 0;
  volumes_->Sweep();
  EXPECT_TRUE(node_.IsServed(volume_));
}

TEST_F(VolumesTest, ARecordOfAnotherVersionIsLeftToIt) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  const std::string record = node_.records[volume_.id];
  const std::string newer = "larder-csi-volume 2\nmore than we know\n";
  node_.records[volume_.id] = newer + fmt::format("crc32c {:08x}\n", base::Crc32c(base::AsBytes(newer)));
  Restart();
  volumes_->Sweep();
  ASSERT_TRUE(node_.records.contains(volume_.id));
  node_.records[volume_.id] = record;
  Restart();
  EXPECT_TRUE(node_.IsServed(volume_));
}

TEST_F(VolumesTest, OnlyAMountThatIsKnownToBeGoneIsSweptUp) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  const auto sweep = [&] {
    volumes_->Sweep();
    clock_.Advance(std::chrono::minutes(3));
    volumes_->Sweep();
    return node_.records.contains(volume_.id) && !node_.mounts.empty();
  };
  node_.look_error = EMFILE;
  EXPECT_TRUE(sweep());
  node_.look_error = 0;
  node_.others = true;
  EXPECT_TRUE(sweep());
}

TEST_F(VolumesTest, AVolumeWithoutItsMountIsSweptUpAfterTwoMinutes) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  node_.mounts.clear();
  node_.targets.clear();
  EXPECT_EQ(volumes_->Sweep(), 0);
  clock_.Advance(std::chrono::seconds(119));
  EXPECT_EQ(volumes_->Sweep(), 0);
  EXPECT_FALSE(node_.IsEmpty());
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(volumes_->Sweep(), 1);
  EXPECT_TRUE(node_.IsEmpty());
}

TEST_F(VolumesTest, AMountThatComesBackIsNotSweptUp) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  const auto mounts = node_.mounts;
  node_.mounts.clear();
  EXPECT_EQ(volumes_->Sweep(), 0);
  node_.mounts = mounts;
  clock_.Advance(std::chrono::minutes(3));
  EXPECT_EQ(volumes_->Sweep(), 0);
  node_.mounts.clear();
  EXPECT_EQ(volumes_->Sweep(), 0);
}

TEST_F(VolumesTest, SocketsThatCouldNotBeOpenedAreOpenedLater) {
  ASSERT_THAT(volumes_->Publish(volume_), IsOk());
  node_.Restart();
  volumes_ = std::make_unique<Volumes>(node_, node_, node_, clock_, log_);
  node_.FailAt(1, EMFILE, /*killed=*/false);
  ASSERT_THAT(volumes_->Restore(), IsOk());
  EXPECT_FALSE(node_.IsServed(volume_));
  EXPECT_EQ(volumes_->Sweep(), 0);
  EXPECT_TRUE(node_.IsServed(volume_));
}

// Each step of a call fails, or is where the agent is killed; then the call is repeated, by the same agent or the next.
struct Fault {
  int error;
  bool killed;
};
class VolumeFaults : public VolumesTest, public testing::WithParamInterface<Fault> {};

TEST_P(VolumeFaults, APublishThatWasCutShortIsCompletedByARepeatOrUndone) {
  constexpr int kSteps = 4;
  for (int step = 0; step < kSteps; ++step) {
    node_.FailAt(step, GetParam().error, GetParam().killed);
    EXPECT_THAT(volumes_->Publish(volume_), Not(IsOk())) << step;
    node_.CheckInvariant();
    if (GetParam().killed) Restart();
    node_.Heal();
    node_.CheckInvariant();
    ASSERT_THAT(volumes_->Publish(volume_), IsOk()) << step;
    EXPECT_TRUE(node_.IsServed(volume_)) << step;
    node_.CheckInvariant();
    ASSERT_THAT(Unpublish(volume_), IsOk());
    EXPECT_TRUE(node_.IsEmpty()) << step;
  }
}

TEST_P(VolumeFaults, APublishThatFailedLeavesNothingWithoutARepeat) {
  for (int step = 0; step < 4; ++step) {
    node_.FailAt(step, GetParam().error, GetParam().killed);
    EXPECT_THAT(volumes_->Publish(volume_), Not(IsOk())) << step;
    if (GetParam().killed) {
      Restart();
      volumes_->Sweep();
      clock_.Advance(std::chrono::minutes(2));
      volumes_->Sweep();
    }
    EXPECT_TRUE(node_.IsEmpty()) << step;
  }
}

TEST_P(VolumeFaults, AnUnpublishThatWasCutShortIsCompletedByARepeat) {
  for (int step = 0; step < 3; ++step) {
    ASSERT_THAT(volumes_->Publish(volume_), IsOk());
    node_.FailAt(step, GetParam().error, GetParam().killed);
    EXPECT_THAT(Unpublish(volume_), Not(IsOk())) << step;
    EXPECT_FALSE(node_.IsServed(volume_)) << step;
    if (GetParam().killed) Restart();
    node_.Heal();
    node_.CheckInvariant();
    ASSERT_THAT(Unpublish(volume_), IsOk()) << step;
    EXPECT_TRUE(node_.IsEmpty()) << step;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Each, VolumeFaults, testing::Values(Fault{EIO, false}, Fault{ENOSPC, false}, Fault{EBUSY, false}, Fault{EIO, true}),
    [](const auto& info) { return fmt::format("{}{}", info.param.killed ? "Killed" : "Failed", info.param.error); });

TEST_F(VolumesTest, HoldsToAModelWhateverHappens) {
  std::minstd_rand random(7);  // NOLINT(cert-msc51-cpp): a run is repeated
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::set<int> wanted;  // what the kubelet wants mounted
  for (int round = 0; round < 5000; ++round) {
    const int n = below(5);
    const bool faulty = below(3) == 0;
    if (faulty) node_.FailAt(below(4), EIO, below(2) == 0);
    const Volume volume = VolumeNumber(n);
    if (below(2) == 0) {
      if (volumes_->Publish(volume).ok()) wanted.insert(n);
    } else if (Unpublish(volume).ok()) {
      wanted.erase(n);
    } else {
      // Half gone; the kubelet asks again until it is.
      if (below(2) == 0) Restart();
      node_.Heal();
      ASSERT_THAT(Unpublish(volume), IsOk());
      wanted.erase(n);
    }
    node_.Heal();
    if (below(4) == 0) Restart();
    node_.CheckInvariant();
    for (const int served : wanted) ASSERT_TRUE(node_.IsServed(VolumeNumber(served))) << "round " << round;
  }
  for (int n = 0; n < 5; ++n) ASSERT_THAT(Unpublish(VolumeNumber(n)), IsOk());
  EXPECT_TRUE(node_.IsEmpty());
}

}  // namespace
}  // namespace larder::cache_agent::csi
