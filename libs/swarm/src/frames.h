#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/object/ids.h"
#include "larder/swarm/manifest.h"
#include "larder/swarm/piece_set.h"
#include "larder/swarm/rate_limiter.h"
#include "larder/swarm/ticket.h"

namespace larder::swarm {

// What parents and children say on TCP (docs/formats/pieces.md). Pure.

inline constexpr uint16_t kProtocolVersion = 1;
inline constexpr size_t kHeaderSize = 12;
inline constexpr size_t kPieceFieldsSize = 12;
inline constexpr size_t kPieceHeaderSize = kHeaderSize + kPieceFieldsSize;
inline constexpr uint32_t kMaxChunk = 256 * base::kKiB;        // data of a PIECE
inline constexpr uint32_t kMaxControl = 4 * base::kKiB;        // payload of other frames, MANIFEST excepted
inline constexpr uint32_t kMaxManifest = 64 + 4 * kMaxPieces;  // payload of MANIFEST
inline constexpr size_t kMaxHaveRuns = 500;

enum class FrameKind : uint8_t {
  kHello = 1,
  kOpen = 2,
  kManifest = 3,
  kGet = 4,
  kPiece = 5,
  kHave = 6,
  kCancel = 7,
  kError = 8,
  kDoubt = 9,
};
// Of PIECE: the header's checksum is that of the data. Of MANIFEST: all pieces are held. Of OPEN: the child takes part
// in super-seeding.
inline constexpr uint8_t kFlagged = 1;
// Of MANIFEST: all pieces are held, and HAVE says which the child is to ask for first.
inline constexpr uint8_t kSuperSeeding = 2;

struct FrameHeader {
  uint32_t length = 0;  // of the payload
  uint32_t crc = 0;
  FrameKind kind{};
  uint8_t flags = 0;
  bool operator==(const FrameHeader&) const = default;
};
// INVALID_ARGUMENT (BAD_FRAME) for a kind that is not known and a length that its kind cannot have.
absl::StatusOr<FrameHeader> DecodeHeader(base::ByteSpan bytes);

struct HelloFrame {
  uint16_t version = kProtocolVersion;
  TransferClass transfer_class = TransferClass::kForeground;
  std::string_view ticket;
};
struct OpenFrame {
  object::Epoch epoch;
  NodeEpoch node_epoch;
  uint32_t piece_length = 0;  // of the manifest that is wanted; 0: whatever the parent's has
  bool super_seeding = false;
};
struct GetFrame {
  uint32_t request = 0;
  PieceRun run;
  uint32_t start = 0;  // of the first piece
};
// What stands before the data.
struct PieceFrame {
  uint32_t request = 0;
  uint32_t piece = 0;
  uint32_t offset = 0;  // in the piece
};
struct HaveFrame {
  PieceMap::State state{};
  std::vector<PieceRun> runs;
};
struct CancelFrame {
  uint32_t request = 0;
};
// A piece that came whole, and not as the manifest says.
struct DoubtFrame {
  uint32_t piece = 0;
};
struct ErrorFrame {
  uint32_t request = 0;  // 0: of the connection
  uint16_t reason = 0;
  std::string_view message;
};

// Whole frames, ready to be sent.
std::string Encode(const HelloFrame& frame);
std::string Encode(const OpenFrame& frame);
std::string Encode(const GetFrame& frame);
std::string Encode(const CancelFrame& frame);
std::string Encode(const DoubtFrame& frame);
std::string Encode(const HaveFrame& frame);  // kMaxHaveRuns at most
std::string Encode(const ErrorFrame& frame);
std::string EncodeManifestFrame(const Manifest& manifest, bool complete, bool super_seeding = false);
// All of a PIECE but its data, of which there are `size`; with its CRC-32C where it is known.
std::array<std::byte, kPieceHeaderSize> EncodePieceHeader(const PieceFrame& frame, uint32_t size,
                                                          std::optional<uint32_t> crc);
// Several HAVE frames, where one does not hold all runs.
std::string EncodeHave(PieceMap::State state, std::span<const PieceRun> runs);

// From a payload that nobody trusts, whose checksum was compared (PIECE excepted: its first kPieceFieldsSize bytes).
// Views point into it. INVALID_ARGUMENT (BAD_FRAME).
absl::StatusOr<HelloFrame> DecodeHello(base::ByteSpan payload);
absl::StatusOr<OpenFrame> DecodeOpen(base::ByteSpan payload, uint8_t flags);
absl::StatusOr<GetFrame> DecodeGet(base::ByteSpan payload);
absl::StatusOr<PieceFrame> DecodePiece(base::ByteSpan fields);
absl::StatusOr<HaveFrame> DecodeHave(base::ByteSpan payload);
absl::StatusOr<CancelFrame> DecodeCancel(base::ByteSpan payload);
absl::StatusOr<DoubtFrame> DecodeDoubt(base::ByteSpan payload);
absl::StatusOr<ErrorFrame> DecodeError(base::ByteSpan payload);

// An error as ERROR carries it: number and message. And as a Status again, UNKNOWN (UNKNOWN_REASON) for a number that
// is not known.
std::string EncodeError(uint32_t request, const absl::Status& status);
absl::Status StatusOf(const ErrorFrame& frame);

absl::Status BadFrame(std::string_view why);

// A control frame that came whole.
struct ControlFrame {
  FrameHeader header;
  base::ByteSpan payload;
};
// The first frame of `bytes`, if it is there whole and its checksum is right; none if more bytes are needed. BAD_FRAME
// as soon as that is known. Not for PIECE.
absl::StatusOr<std::optional<ControlFrame>> NextControl(base::ByteSpan bytes);

}  // namespace larder::swarm
