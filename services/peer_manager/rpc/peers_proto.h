#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string_view>

#include "core/manager.h"
#include "core/node.h"
#include "core/swarm_desk.h"
#include "larder/peers/v1/peers.pb.h"

// Between peers.proto and what the manager knows. Pure.
namespace larder::peer_manager {

namespace v1 = larder::peers::v1;

// INVALID_ARGUMENT (BAD_FIELD), naming it.
absl::StatusOr<Introduction> FromProto(const v1::Hello& hello);
Load FromProto(const v1::Load& load);
// Of a hello or a beat.
Beat BeatOf(const v1::SessionRequest& request);

// INVALID_ARGUMENT (BAD_FIELD).
absl::StatusOr<SwarmDesk::Call> FromProto(const v1::JoinRequest& request);

v1::JoinResponse ToProto(const SwarmDesk::Told& told);
v1::SessionResponse ToProto(const BeatAnswer& answer, uint64_t sequence, base::Duration session);
v1::Node ToProto(const NodeView& node);
v1::StatusResponse ToProto(const ManagerStatus& status, const ManagerOptions& options, std::string_view version);

}  // namespace larder::peer_manager
