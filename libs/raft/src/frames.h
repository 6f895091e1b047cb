#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "larder/raft/types.h"

namespace larder::raft {

// What members say on TCP (docs/formats/raft-frames.md). Pure.

constexpr uint16_t kProtocolVersion = 1;
constexpr size_t kFrameHeaderSize = 13;
enum class FrameKind : uint8_t { kHello = 1, kMessage = 2, kApplication = 3 };

struct Frame {
  GroupId group;
  FrameKind kind = FrameKind::kMessage;
  std::string payload;
  bool operator==(const Frame&) const = default;
};

using FrameHeader = std::array<std::byte, kFrameHeaderSize>;
// What goes before the payload.
FrameHeader HeaderOf(GroupId group, FrameKind kind, base::ByteSpan payload);

// Cuts a stream of bytes that nobody trusts into frames. Holds at most what was appended.
class FrameDecoder {
 public:
  explicit FrameDecoder(uint64_t payload_limit) : limit_(payload_limit) {}
  void SetLimit(uint64_t payload_limit) { limit_ = payload_limit; }
  void Append(base::ByteSpan bytes) { buffer_.append(base::AsText(bytes)); }
  // The next frame, or none until more was appended. DATA_LOSS (BAD_FRAME) if it is damaged, INVALID_ARGUMENT
  // (FRAME_TOO_LARGE) once its length is known: nothing can be read from then on.
  absl::StatusOr<std::optional<Frame>> Next();

 private:
  uint64_t limit_;
  std::string buffer_;
  size_t begin_ = 0;  // of what was not cut off yet
};

struct Hello {
  uint16_t version = kProtocolVersion;
  std::string cluster;
  std::string node;
  MemberId member;
  std::string architecture;  // members of different ones would not compute the same
  bool operator==(const Hello&) const = default;
};

std::string_view OwnArchitecture();
std::string EncodeHello(const Hello& hello);
// INVALID_ARGUMENT (BAD_HELLO).
absl::StatusOr<Hello> DecodeHello(std::string_view payload);
// OK if who says `theirs` may talk to who says `own`; FAILED_PRECONDITION (PROTOCOL_VERSION, FOREIGN_CLUSTER,
// FOREIGN_ARCHITECTURE) or INVALID_ARGUMENT (BAD_HELLO).
absl::Status CheckHello(const Hello& own, const Hello& theirs);

}  // namespace larder::raft
