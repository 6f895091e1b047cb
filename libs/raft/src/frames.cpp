#include "src/frames.h"

#include <cstring>
#include <utility>

#include "larder/base/codec.h"
#include "larder/base/digest.h"
#include "larder/base/status.h"

namespace larder::raft {
namespace {

constexpr size_t kChecked = 8;  // the checksum is of all that follows it

absl::Status BadFrame(std::string_view why) { return base::Error(absl::StatusCode::kDataLoss, "BAD_FRAME", "{}", why); }

}  // namespace

FrameHeader HeaderOf(GroupId group, FrameKind kind, base::ByteSpan payload) {
  base::ByteWriter out;
  out.U32(static_cast<uint32_t>(payload.size())).U32(0).U32(group.value).U8(static_cast<uint8_t>(kind));
  out.PatchU32(4, base::Crc32c(payload, base::Crc32c(out.bytes().subspan(kChecked))));
  FrameHeader header;
  std::memcpy(header.data(), out.bytes().data(), header.size());
  return header;
}

absl::StatusOr<std::optional<Frame>> FrameDecoder::Next() {
  const base::ByteSpan bytes = base::AsBytes(buffer_).subspan(begin_);
  if (bytes.size() < kFrameHeaderSize) {
    buffer_.erase(0, begin_);
    begin_ = 0;
    return std::optional<Frame>();
  }
  base::ByteReader in(bytes);
  const uint32_t length = in.U32();
  const uint32_t crc = in.U32();
  if (length > limit_)
    return base::InvalidArgument("FRAME_TOO_LARGE", "a frame of {} bytes; {} at most", length, limit_);
  if (bytes.size() < kFrameHeaderSize + length) {
    buffer_.erase(0, begin_);
    begin_ = 0;
    return std::optional<Frame>();
  }
  if (base::Crc32c(bytes.subspan(kChecked, kFrameHeaderSize - kChecked + length)) != crc) {
    return BadFrame("a frame's checksum is wrong");
  }
  Frame frame{.group = {in.U32()}, .kind = static_cast<FrameKind>(in.U8())};
  if (frame.kind < FrameKind::kHello || frame.kind > FrameKind::kApplication) {
    return BadFrame("a frame of unknown kind");
  }
  frame.payload = base::AsText(in.Raw(length));
  begin_ += kFrameHeaderSize + length;
  return std::optional<Frame>(std::move(frame));
}

std::string_view OwnArchitecture() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "aarch64";
#else
#error "name this architecture"
#endif
}

std::string EncodeHello(const Hello& hello) {
  base::ByteWriter out;
  out.U16(hello.version).Str(hello.cluster).Str(hello.node).U64(hello.member.value).Str(hello.architecture);
  return std::string(base::AsText(out.bytes()));
}

absl::StatusOr<Hello> DecodeHello(std::string_view payload) {
  base::ByteReader in(base::AsBytes(payload));
  Hello hello{.version = in.U16()};
  hello.cluster = in.Str();
  hello.node = in.Str();
  hello.member.value = in.U64();
  hello.architecture = in.Str();
  // Another version may say more, and is told apart before anything else is looked at.
  if (!in.ok() || (hello.version == kProtocolVersion && !in.done())) {
    return base::InvalidArgument("BAD_HELLO", "a HELLO of {} bytes that cannot be read", payload.size());
  }
  return hello;
}

absl::Status CheckHello(const Hello& own, const Hello& theirs) {
  const auto refuse = [&](std::string_view reason, std::string_view what) {
    return base::Error(absl::StatusCode::kFailedPrecondition, reason, "member {} (node '{}') {}", theirs.member.value,
                       theirs.node, what);
  };
  if (theirs.version != own.version) {
    return refuse("PROTOCOL_VERSION", fmt::format("speaks version {}, not {}", theirs.version, own.version));
  }
  if (theirs.cluster != own.cluster) {
    return refuse("FOREIGN_CLUSTER", fmt::format("is of cluster '{}', not '{}'", theirs.cluster, own.cluster));
  }
  if (theirs.architecture != own.architecture) {
    return refuse("FOREIGN_ARCHITECTURE", fmt::format("runs on {}, not {}", theirs.architecture, own.architecture));
  }
  if (theirs.member == MemberId{} || theirs.member == own.member) {
    return base::InvalidArgument("BAD_HELLO", "node '{}' says that it is member {}", theirs.node, theirs.member.value);
  }
  return absl::OkStatus();
}

}  // namespace larder::raft
