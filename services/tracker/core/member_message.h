#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace larder::tracker {

// What members tell each other beside Raft (docs/formats/tracker-members.md). Pure.

// An entry for whoever leads, without a stamp.
struct ForwardedEntry {
  uint64_t id = 0;
  std::string entry;
  bool operator==(const ForwardedEntry&) const = default;
};
// What became of it: its encoded replies, or an error.
struct ForwardedReply {
  uint64_t id = 0;
  absl::StatusOr<std::string> replies;
  bool operator==(const ForwardedReply&) const = default;
};
using MemberMessage = std::variant<ForwardedEntry, ForwardedReply>;

std::string EncodeMemberMessage(const MemberMessage& message);
// INVALID_ARGUMENT (BAD_MEMBER_MESSAGE).
absl::StatusOr<MemberMessage> DecodeMemberMessage(std::string_view bytes);

}  // namespace larder::tracker
