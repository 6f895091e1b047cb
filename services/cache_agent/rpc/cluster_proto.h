#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster_registry.h"
#include "larder/base/clock.h"
#include "larder/object/object.h"
#include "larder/tracker/v1/tracker.pb.h"

// Between the words of ClusterRegistry and the tracker's. Pure.
namespace larder::cache_agent {

// What the tracker is told. Who acts is filled in by SetActor, when it is sent.
tracker::v1::Command AcquireCommand(const object::ObjectId& id, bool overwrite, base::Duration lease);
tracker::v1::Command RenewCommand(base::Duration lease);
tracker::v1::Command SealCommand(object::Epoch epoch, const object::ObjectInfo& info);
tracker::v1::Command PublishCommand(const object::ObjectInfo& info, bool overwrite);
tracker::v1::Command AbandonCommand(const object::ObjectId& id, object::Epoch epoch);
tracker::v1::Command DeleteCommand(const object::ObjectId& id);
tracker::v1::Command MetaCommand(const object::ObjectId& id, object::Epoch epoch, const MetaChange& change);
// `gone`: it is here no more, so nothing is there to be kept.
tracker::v1::Command GiveUpCommand(const object::TrackedAs& copy, bool gone);
tracker::v1::Command AddCommand(const object::TrackedAs& copy);
// About a copy of another node, told of in that epoch of it.
tracker::v1::Command ReportCommand(const object::TrackedAs& copy, const std::string& node, uint64_t node_epoch,
                                   uint64_t version);
tracker::v1::Command ConfirmCommand(const std::vector<std::pair<uint8_t, uint64_t>>& sums);
tracker::v1::Command SyncCommand(const InventoryPage& page);
tracker::v1::ObjectId ToProto(const object::ObjectId& id);

// Commands that nobody in particular may give are left as they are.
void SetActor(tracker::v1::Command& command, const tracker::v1::NodeRef& actor);
// The node epoch in which it is given; 0: in none.
uint64_t ActorEpoch(const tracker::v1::Command& command);

// What a command or a request ended with: code, reason and message. Of what is not there the reason is NO_OBJECT.
absl::Status FromProto(const tracker::v1::Refusal& refusal);
absl::Status FromProto(const tracker::v1::Failure& failure);
// OK unless it was refused.
absl::Status StatusOf(const absl::StatusOr<tracker::v1::Result>& result);
// What a command was answered with; INTERNAL (BAD_ANSWER) if that is something else.
absl::StatusOr<object::Epoch> GrantedEpochOf(const absl::StatusOr<tracker::v1::Result>& result);
absl::StatusOr<object::TrackedAs> SealedAsOf(const absl::StatusOr<tracker::v1::Result>& result);
absl::StatusOr<std::vector<uint8_t>> DifferingOf(const absl::StatusOr<tracker::v1::Result>& result);
absl::StatusOr<InventoryAnswer> SyncedOf(const absl::StatusOr<tracker::v1::Result>& result);
absl::StatusOr<object::InventorySums> SumsOf(const absl::StatusOr<tracker::v1::GetInventoryResponse>& response);

ClusterObject FromProto(const tracker::v1::LocatedObject& located);
// Of an object with a sealed version.
object::ObjectInfo SealedInfo(const tracker::v1::Object& object);

}  // namespace larder::cache_agent
