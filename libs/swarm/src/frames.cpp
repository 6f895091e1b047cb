#include "src/frames.h"

#include <algorithm>
#include <cstring>

#include "larder/base/codec.h"
#include "larder/base/digest.h"
#include "larder/base/status.h"

namespace larder::swarm {
namespace {

using absl::StatusCode;

struct Reason {
  uint16_t number;
  std::string_view word;
  StatusCode code;
};
// The table of docs/formats/pieces.md.
constexpr std::array kReasons = std::to_array<Reason>({
    {1, "BAD_FRAME", StatusCode::kInvalidArgument},
    {2, "PROTOCOL_VERSION", StatusCode::kFailedPrecondition},
    {3, "BAD_TICKET", StatusCode::kUnauthenticated},
    {4, "TICKET_EXPIRED", StatusCode::kUnauthenticated},
    {5, "NODE_EPOCH_STALE", StatusCode::kAborted},
    {6, "EPOCH_STALE", StatusCode::kAborted},
    {7, "NO_OBJECT", StatusCode::kNotFound},
    {8, "NO_PIECE", StatusCode::kNotFound},
    {9, "TOO_MANY_CONNECTIONS", StatusCode::kResourceExhausted},
    {10, "READ_FAILED", StatusCode::kDataLoss},
    {11, "STOPPING", StatusCode::kUnavailable},
    {12, "NOT_YET", StatusCode::kUnavailable},
});

constexpr size_t kMaxMessage = 512;

std::string Framed(FrameKind kind, uint8_t flags, const base::ByteWriter& payload) {
  base::ByteWriter out;
  out.U32(static_cast<uint32_t>(payload.size())).U32(base::Crc32c(payload.bytes()));
  out.U8(static_cast<uint8_t>(kind)).U8(flags).U16(0).Raw(payload.bytes());
  return std::string(base::AsText(out.bytes()));
}

uint32_t LongestPayload(FrameKind kind) {
  if (kind == FrameKind::kPiece) return kPieceFieldsSize + kMaxChunk;
  return kind == FrameKind::kManifest ? kMaxManifest : kMaxControl;
}

template <typename Frame>
absl::StatusOr<Frame> IfDone(const base::ByteReader& in, bool sound, Frame frame) {
  if (!in.done() || !sound) return BadFrame("a frame with fields that cannot be");
  return frame;
}

bool Sound(const PieceRun& run) { return run.count > 0 && uint64_t{run.first} + run.count <= kMaxPieces; }

}  // namespace

absl::Status BadFrame(std::string_view why) { return base::InvalidArgument("BAD_FRAME", "{}", why); }

absl::StatusOr<FrameHeader> DecodeHeader(base::ByteSpan bytes) {
  base::ByteReader in(bytes.first(std::min(bytes.size(), kHeaderSize)));
  FrameHeader header{.length = in.U32(), .crc = in.U32()};
  header.kind = static_cast<FrameKind>(in.U8());
  header.flags = in.U8();
  if (in.U16() != 0 || !in.done()) return BadFrame("a header that is cut off or has something in its reserved bytes");
  if (header.kind < FrameKind::kHello || header.kind > FrameKind::kDoubt) return BadFrame("a frame of unknown kind");
  if (header.length > LongestPayload(header.kind)) return BadFrame("a frame that is too long");
  if (header.kind == FrameKind::kPiece && header.length <= kPieceFieldsSize) return BadFrame("a PIECE without data");
  return header;
}

std::string Encode(const HelloFrame& frame) {
  base::ByteWriter out;
  out.U16(frame.version).U8(static_cast<uint8_t>(frame.transfer_class)).Str(frame.ticket);
  return Framed(FrameKind::kHello, 0, out);
}

std::string Encode(const OpenFrame& frame) {
  base::ByteWriter out;
  out.U64(frame.epoch.value).U64(frame.node_epoch.value).U32(frame.piece_length);
  return Framed(FrameKind::kOpen, frame.super_seeding ? kFlagged : 0, out);
}

std::string Encode(const GetFrame& frame) {
  base::ByteWriter out;
  out.U32(frame.request).U32(frame.run.first).U32(frame.run.count).U32(frame.start);
  return Framed(FrameKind::kGet, 0, out);
}

std::string Encode(const CancelFrame& frame) {
  base::ByteWriter out;
  out.U32(frame.request);
  return Framed(FrameKind::kCancel, 0, out);
}

std::string Encode(const DoubtFrame& frame) {
  base::ByteWriter out;
  out.U32(frame.piece);
  return Framed(FrameKind::kDoubt, 0, out);
}

std::string Encode(const HaveFrame& frame) {
  base::ByteWriter out;
  out.U8(static_cast<uint8_t>(frame.state)).U16(static_cast<uint16_t>(frame.runs.size()));
  for (const PieceRun& run : frame.runs) out.U32(run.first).U32(run.count);
  return Framed(FrameKind::kHave, 0, out);
}

std::string Encode(const ErrorFrame& frame) {
  base::ByteWriter out;
  out.U32(frame.request).U16(frame.reason).Str(frame.message.substr(0, kMaxMessage));
  return Framed(FrameKind::kError, 0, out);
}

std::string EncodeManifestFrame(const Manifest& manifest, bool complete, bool super_seeding) {
  base::ByteWriter out;
  out.Raw(base::AsBytes(EncodeManifest(manifest)));
  return Framed(FrameKind::kManifest, super_seeding ? kSuperSeeding : complete ? kFlagged : 0, out);
}

std::array<std::byte, kPieceHeaderSize> EncodePieceHeader(const PieceFrame& frame, uint32_t size,
                                                          std::optional<uint32_t> crc) {
  const std::array<uint32_t, 6> words = {
      static_cast<uint32_t>(kPieceFieldsSize) + size,
      crc.value_or(0),
      static_cast<uint32_t>(FrameKind::kPiece) | (crc ? uint32_t{kFlagged} << 8 : 0),
      frame.request,
      frame.piece,
      frame.offset,
  };
  static_assert(sizeof words == kPieceHeaderSize);
  std::array<std::byte, kPieceHeaderSize> header;
  std::memcpy(header.data(), words.data(), header.size());
  return header;
}

std::string EncodeHave(PieceMap::State state, std::span<const PieceRun> runs) {
  std::string frames;
  while (!runs.empty()) {
    const std::span part = runs.first(std::min(runs.size(), kMaxHaveRuns));
    frames += Encode(HaveFrame{.state = state, .runs = {part.begin(), part.end()}});
    runs = runs.subspan(part.size());
  }
  return frames;
}

absl::StatusOr<HelloFrame> DecodeHello(base::ByteSpan payload) {
  base::ByteReader in(payload);
  HelloFrame frame{.version = in.U16()};
  // Another version may say more, and is told apart before anything else is looked at.
  if (in.ok() && frame.version != kProtocolVersion) {
    return base::Error(StatusCode::kFailedPrecondition, "PROTOCOL_VERSION", "version {}, not {}", frame.version,
                       kProtocolVersion);
  }
  const uint8_t transfer_class = in.U8();
  frame.transfer_class = static_cast<TransferClass>(transfer_class);
  frame.ticket = in.Str();
  return IfDone(in, transfer_class < kTransferClasses, frame);
}

absl::StatusOr<OpenFrame> DecodeOpen(base::ByteSpan payload, uint8_t flags) {
  base::ByteReader in(payload);
  OpenFrame frame{.super_seeding = (flags & kFlagged) != 0};
  frame.epoch.value = in.U64();
  frame.node_epoch.value = in.U64();
  frame.piece_length = in.U32();
  return IfDone(in, frame.piece_length == 0 || IsPieceLength(frame.piece_length), frame);
}

absl::StatusOr<GetFrame> DecodeGet(base::ByteSpan payload) {
  base::ByteReader in(payload);
  GetFrame frame{.request = in.U32()};
  frame.run = {.first = in.U32(), .count = in.U32()};
  frame.start = in.U32();
  return IfDone(in, frame.request != 0 && Sound(frame.run) && frame.start < kMaxPieceLength, frame);
}

absl::StatusOr<PieceFrame> DecodePiece(base::ByteSpan fields) {
  base::ByteReader in(fields);
  const PieceFrame frame{.request = in.U32(), .piece = in.U32(), .offset = in.U32()};
  return IfDone(in, frame.request != 0 && frame.piece < kMaxPieces && frame.offset < kMaxPieceLength, frame);
}

absl::StatusOr<HaveFrame> DecodeHave(base::ByteSpan payload) {
  base::ByteReader in(payload);
  const uint8_t state = in.U8();
  HaveFrame frame{.state = static_cast<PieceMap::State>(state)};
  bool sound = state <= static_cast<uint8_t>(PieceMap::State::kHeld);
  const uint16_t count = in.U16();
  sound = sound && count > 0 && count <= kMaxHaveRuns;
  for (uint16_t i = 0; sound && i < count; ++i) {
    const PieceRun run{.first = in.U32(), .count = in.U32()};
    sound = Sound(run);
    frame.runs.push_back(run);
  }
  return IfDone(in, sound, std::move(frame));
}

absl::StatusOr<CancelFrame> DecodeCancel(base::ByteSpan payload) {
  base::ByteReader in(payload);
  const CancelFrame frame{.request = in.U32()};
  return IfDone(in, frame.request != 0, frame);
}

absl::StatusOr<DoubtFrame> DecodeDoubt(base::ByteSpan payload) {
  base::ByteReader in(payload);
  const DoubtFrame frame{.piece = in.U32()};
  return IfDone(in, frame.piece < kMaxPieces, frame);
}

absl::StatusOr<ErrorFrame> DecodeError(base::ByteSpan payload) {
  base::ByteReader in(payload);
  ErrorFrame frame{.request = in.U32(), .reason = in.U16()};
  frame.message = in.Str();
  return IfDone(in, frame.message.size() <= kMaxMessage, frame);
}

absl::StatusOr<std::optional<ControlFrame>> NextControl(base::ByteSpan bytes) {
  if (bytes.size() < kHeaderSize) return std::optional<ControlFrame>();
  LARDER_ASSIGN_OR_RETURN(const FrameHeader header, DecodeHeader(bytes));
  if (header.kind == FrameKind::kPiece) return BadFrame("a PIECE from who should send none");
  if (bytes.size() - kHeaderSize < header.length) return std::optional<ControlFrame>();
  const base::ByteSpan payload = bytes.subspan(kHeaderSize, header.length);
  if (base::Crc32c(payload) != header.crc) return BadFrame("a frame whose checksum is wrong");
  return std::optional(ControlFrame{.header = header, .payload = payload});
}

std::string EncodeError(uint32_t request, const absl::Status& status) {
  const auto reason = std::ranges::find(kReasons, base::Reason(status), &Reason::word);
  const std::string message = base::Message(status);
  return Encode(ErrorFrame{
      .request = request, .reason = reason == kReasons.end() ? uint16_t{0} : reason->number, .message = message});
}

absl::Status StatusOf(const ErrorFrame& frame) {
  const auto reason = std::ranges::find(kReasons, frame.reason, &Reason::number);
  if (reason == kReasons.end()) {
    return base::Error(StatusCode::kUnknown, "UNKNOWN_REASON", "reason {}: {}", frame.reason, frame.message);
  }
  return base::MakeError(reason->code, reason->word, frame.message);
}

}  // namespace larder::swarm
