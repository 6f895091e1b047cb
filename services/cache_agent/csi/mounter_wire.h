#pragma once
#include <absl/status/statusor.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "csi/mounter.h"
#include "larder/base/bytes.h"

// What the agent and its mounter say to each other: one record of fixed size each way, in turns. Integers are
// little-endian, texts end with zeros. Pure.
namespace larder::cache_agent::csi {

enum class MounterOp : uint8_t { kMount = 1, kUnmount = 2, kLook = 3, kRegister = 4, kUnregister = 5 };

struct MounterRequest {
  MounterOp op = MounterOp::kLook;
  Place place;  // empty for what concerns no volume
  bool operator==(const MounterRequest&) const = default;
};
// magic 4, op 1, zeros 3, the pod's uid 40, the volume's name 64
inline constexpr size_t kMounterRequestSize = 112;
using MounterRequestRecord = std::array<std::byte, kMounterRequestSize>;

struct MounterReply {
  int32_t error = 0;  // errno
  MountState state = MountState::kNone;
  bool operator==(const MounterReply&) const = default;
};
// magic 4, errno 4, state 1, zeros 3
inline constexpr size_t kMounterReplySize = 12;
using MounterReplyRecord = std::array<std::byte, kMounterReplySize>;

// A text that does not fit is left out, and so names no volume: cut off, it could name another.
MounterRequestRecord EncodeRequest(const MounterRequest& request);
// INVALID_ARGUMENT (BAD_RECORD) unless it is what EncodeRequest gives for a place whose parts can be nothing but names.
absl::StatusOr<MounterRequest> DecodeRequest(base::ByteSpan record);
MounterReplyRecord EncodeReply(const MounterReply& reply);
absl::StatusOr<MounterReply> DecodeReply(base::ByteSpan record);

}  // namespace larder::cache_agent::csi
