#include "rpc/cluster_proto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "larder/base/status.h"
#include "tests/talk.h"

namespace larder::cache_agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

object::ObjectInfo Described() {
  return {
      .id = {"ns", "k"},
      .state = object::ObjectState::kSealed,
      .epoch = object::Epoch{4},
      .size = 12,
      .digest = base::Crc32cDigest(7),
      .meta = {.ttl = seconds(9), .tags = {"t"}, .application = "app", .wanted_replicas = 2, .piece_length = 1 << 20},
      .pinned = true};
}

TEST(ClusterProto, WhatIsPublishedIsWhatTheRegistryTellsOthers) {
  const object::ObjectInfo info = Described();
  const v1::Publish publish = PublishCommand(info, true).publish();
  EXPECT_EQ(publish.alias(), 4u);
  EXPECT_TRUE(publish.overwrite());
  v1::Object object;
  *object.mutable_id() = publish.object();
  *object.mutable_sealed()->mutable_meta() = publish.meta();
  object.mutable_sealed()->set_epoch(6);
  object.mutable_sealed()->set_ttl_left_ms(8000);
  const object::ObjectInfo read = SealedInfo(object);
  EXPECT_EQ(read.id, info.id);
  EXPECT_EQ(read.epoch, object::Epoch{6});
  EXPECT_EQ(read.size, info.size);
  EXPECT_EQ(read.digest, info.digest);
  EXPECT_EQ(read.meta.ttl, info.meta.ttl);
  EXPECT_EQ(read.meta.tags, info.meta.tags);
  EXPECT_EQ(read.meta.application, info.meta.application);
  EXPECT_EQ(read.meta.wanted_replicas, info.meta.wanted_replicas);
  EXPECT_EQ(read.meta.piece_length, info.meta.piece_length);
  EXPECT_EQ(read.ttl_left, milliseconds(8000));
  EXPECT_TRUE(read.pinned);
}

TEST(ClusterProto, WhatIsToldOfLateLivesNoLongerForThat) {
  object::ObjectInfo info = Described();
  EXPECT_EQ(PublishCommand(info, false).publish().meta().ttl_ms(), 9000);
  info.ttl_left = seconds(4);
  EXPECT_EQ(PublishCommand(info, false).publish().meta().ttl_ms(), 4000);
}

TEST(ClusterProto, RefusalsKeepCodeReasonAndMessage) {
  v1::Refusal held;
  held.set_code(static_cast<int>(absl::StatusCode::kAborted));
  held.set_reason("HELD");
  held.set_message("node b is creating ns/k");
  EXPECT_EQ(FromProto(held).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(base::Reason(FromProto(held)), "HELD");
  EXPECT_EQ(base::Message(FromProto(held)), "node b is creating ns/k");
  EXPECT_EQ(base::Reason(FromProto(RefusedResult(absl::StatusCode::kNotFound, "NOT_FOUND").refusal())), "NO_OBJECT");
  // Neither OK nor a code of a later version is taken for success.
  EXPECT_EQ(FromProto(RefusedResult(absl::StatusCode::kOk, "").refusal()).code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(FromProto(RefusedResult(static_cast<absl::StatusCode>(99), "").refusal()).code(),
            absl::StatusCode::kUnknown);
}

TEST(ClusterProto, ACreationAndAnAbsenceAreTold) {
  v1::LocatedObject located;
  EXPECT_EQ(FromProto(located).info.state, object::ObjectState::kDeleted);
  located.mutable_object()->mutable_pending()->set_epoch(3);
  located.mutable_object()->mutable_pending()->mutable_author()->set_node("b");
  const ClusterObject creating = FromProto(located);
  EXPECT_EQ(creating.info.state, object::ObjectState::kCreating);
  EXPECT_EQ(creating.info.epoch, object::Epoch{3});
  EXPECT_EQ(creating.creator, "b");
  EXPECT_EQ(creating.info.tracked, std::nullopt);
  // While it is overwritten, both.
  located.mutable_object()->set_blob(4);
  located.mutable_object()->mutable_sealed()->set_epoch(2);
  located.mutable_object()->mutable_sealed()->set_staged_ms(1500);
  v1::Copy& copy = *located.add_copies();
  copy.set_node("c");
  copy.set_kind(v1::COPY_KIND_STAGED);
  copy.set_live(true);
  copy.set_last_seen_ms(20);
  copy.set_address("10.0.0.1:7461");
  copy.set_node_epoch(8);
  copy.set_version(9);
  copy.set_confirmed(true);
  const ClusterObject both = FromProto(located);
  EXPECT_EQ(both.info.epoch, object::Epoch{2});
  EXPECT_EQ(both.info.tracked, (object::TrackedAs{{4}, {2}}));
  EXPECT_EQ(both.creator, "b");
  EXPECT_EQ(both.staged_age, milliseconds(1500));
  EXPECT_THAT(both.copies, testing::ElementsAre(ClusterCopy{.node = "c",
                                                            .address = "10.0.0.1:7461",
                                                            .node_epoch = 8,
                                                            .version = 9,
                                                            .staged = true,
                                                            .confirmed = true,
                                                            .live = true,
                                                            .last_seen = milliseconds(20)}));
}

TEST(ClusterProto, EveryCommandOfTheNodeCarriesItsEpoch) {
  v1::NodeRef actor;
  actor.set_node("n");
  actor.set_epoch(5);
  for (v1::Command command :
       {AcquireCommand({"ns", "k"}, true, seconds(1)), RenewCommand(seconds(1)), SealCommand(object::Epoch{4}, {}),
        PublishCommand({}, false), AbandonCommand({"ns", "k"}, object::Epoch{4}), AddCommand({{3}, {4}}),
        GiveUpCommand({{3}, {4}}, true), ConfirmCommand({{1, 2}}), SyncCommand({})}) {
    EXPECT_EQ(ActorEpoch(command), 0u);
    SetActor(command, actor);
    EXPECT_EQ(ActorEpoch(command), 5u) << command.DebugString();
  }
  v1::Command anybody = DeleteCommand({"ns", "k"});
  SetActor(anybody, actor);
  EXPECT_EQ(anybody.SerializeAsString(), DeleteCommand({"ns", "k"}).SerializeAsString());
}

TEST(ClusterProto, ABadCopyIsReportedAsItWasLocatedAndNotAsTheReportersOwn) {
  v1::NodeRef reporter;
  reporter.set_node("n");
  reporter.set_epoch(5);
  v1::Command command = ReportCommand({{3}, {4}}, "b", 6, 11);
  SetActor(command, reporter);
  EXPECT_EQ(ActorEpoch(command), 0u) << "it is no word about the reporter's registration";
  const v1::ReportBad& report = command.report_bad();
  EXPECT_EQ(report.blob(), 3u);
  EXPECT_EQ(report.epoch(), 4u);
  EXPECT_EQ(report.holder().node(), "b");
  EXPECT_EQ(report.holder().epoch(), 6u);
  EXPECT_EQ(report.version(), 11u);
}

TEST(ClusterProto, AnAddedCopyIsAReplicaOfThisNode) {
  v1::Command command = AddCommand({{3}, {4}});
  v1::NodeRef actor;
  actor.set_node("n");
  SetActor(command, actor);
  EXPECT_EQ(command.add_location().blob(), 3u);
  EXPECT_EQ(command.add_location().epoch(), 4u);
  EXPECT_EQ(command.add_location().holder().node(), "n");
  EXPECT_EQ(command.add_location().kind(), v1::COPY_KIND_REPLICA);
}

}  // namespace
}  // namespace larder::cache_agent
