#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "core/cluster_commands.h"

namespace larder::tracker {

// What members tell each other beside Raft (docs/formats/tracker-members.md). Pure.

// An entry for whoever leads, without a stamp.
struct ForwardedEntry {
  uint64_t id = 0;
  std::string entry;
  bool operator==(const ForwardedEntry&) const = default;
};
// Whether the leader takes this node for alive (Consensus::NodeAlive).
struct AliveQuestion {
  uint64_t id = 0;
  NodeRef node;
  bool operator==(const AliveQuestion&) const = default;
};
// What became of either: encoded replies (of a question: none), or an error.
struct ForwardedReply {
  uint64_t id = 0;
  absl::StatusOr<std::string> replies;
  bool operator==(const ForwardedReply&) const = default;
};
using MemberMessage = std::variant<ForwardedEntry, ForwardedReply, AliveQuestion>;

std::string EncodeMemberMessage(const MemberMessage& message);
// INVALID_ARGUMENT (BAD_MEMBER_MESSAGE).
absl::StatusOr<MemberMessage> DecodeMemberMessage(std::string_view bytes);

}  // namespace larder::tracker
