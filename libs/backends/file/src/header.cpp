#include "src/header.h"

#include <algorithm>

#include "larder/base/codec.h"
#include "larder/base/digest.h"
#include "larder/base/status.h"

namespace larder::backends::file {
namespace {

constexpr uint64_t kMagic = 0x314A424F5244524C;  // "LRDROBJ1"
constexpr int64_t kNoTtl = -1;
constexpr int64_t kMaxTtlMs = 100LL * 365 * 86400 * 1000;
constexpr int64_t kMaxTimeMs = 200LL * 365 * 86400 * 1000;  // since 1970; in range as nanoseconds

absl::Status Bad(std::string_view why) {
  return base::Error(absl::StatusCode::kDataLoss, "BAD_HEADER", "not an object's file: {}", why);
}

// As if the object were not tracked, which may change.
uint32_t HeaderCrc(base::ByteSpan header) {
  constexpr std::array<std::byte, kTrackedSize> untracked{};
  return base::Crc32c(untracked, base::Crc32c(header.subspan(12, kTrackedOffset - 12)));
}

std::optional<object::TrackedAs> DecodeTracked(base::ByteSpan bytes) {
  base::ByteReader in(bytes);
  object::TrackedAs tracked;
  tracked.blob.value = in.U64();
  tracked.epoch.value = in.U64();
  if (in.U32() != base::Crc32c(bytes.first(16)) || tracked.blob == object::BlobId{}) return std::nullopt;
  return tracked;
}

}  // namespace

std::array<std::byte, kTrackedSize> EncodeTracked(const object::TrackedAs& tracked) {
  base::ByteWriter out;
  out.U64(tracked.blob.value).U64(tracked.epoch.value);
  out.U32(base::Crc32c(out.bytes()));
  std::array<std::byte, kTrackedSize> bytes{};
  std::ranges::copy(out.bytes(), bytes.begin());
  return bytes;
}

absl::StatusOr<std::array<std::byte, kHeaderSize>> EncodeHeader(const Header& header) {
  const object::ObjectInfo& info = header.info;
  const int64_t ttl_ms =
      info.meta.ttl ? std::chrono::duration_cast<std::chrono::milliseconds>(*info.meta.ttl).count() : kNoTtl;
  if (ttl_ms > kMaxTtlMs) return base::InvalidArgument("BAD_META", "the TTL is beyond 100 years");
  base::ByteWriter out;
  out.U64(kMagic).U32(0 /* CRC, last */);
  out.U64(info.epoch.value).U64(info.size).U32(header.crc32c).U32(header.table_crc32c);
  out.I64(header.sealed_at_ms);
  out.I64(ttl_ms);
  out.U32(info.meta.wanted_replicas).U32(info.meta.piece_length);
  const bool sha = info.digest.kind == base::Digest::Kind::kSha256;
  out.U8(sha ? 1 : 0);
  if (sha) out.Raw(std::as_bytes(std::span(info.digest.sha256)));
  out.Str(info.id.ns).Str(info.id.key).Str(info.meta.application);
  out.U16(static_cast<uint16_t>(info.meta.tags.size()));
  for (const std::string& tag : info.meta.tags) out.Str(tag);
  if (out.size() > kTrackedOffset) {
    return base::InvalidArgument("BAD_META", "key, tags and application take {} bytes of at most {}", out.size(),
                                 kTrackedOffset);
  }
  std::array<std::byte, kHeaderSize> bytes{};
  std::copy(out.bytes().begin(), out.bytes().end(), bytes.begin());
  const uint32_t crc = HeaderCrc(bytes);
  std::memcpy(bytes.data() + 8, &crc, sizeof crc);
  if (info.tracked) std::ranges::copy(EncodeTracked(*info.tracked), bytes.begin() + kTrackedOffset);
  return bytes;
}

absl::StatusOr<Header> DecodeHeader(base::ByteSpan bytes) {
  if (bytes.size() != kHeaderSize) return Bad("it is too short");
  base::ByteReader in(bytes);
  if (in.U64() != kMagic) return Bad("it begins otherwise");
  if (in.U32() != HeaderCrc(bytes)) return Bad("its header's checksum is wrong");
  Header header;
  object::ObjectInfo& info = header.info;
  info.state = object::ObjectState::kSealed;
  info.epoch.value = in.U64();
  info.size = in.U64();
  header.crc32c = in.U32();
  header.table_crc32c = in.U32();
  header.sealed_at_ms = in.I64();
  const int64_t ttl = in.I64();
  if (header.sealed_at_ms < 0 || header.sealed_at_ms > kMaxTimeMs) return Bad("its time is beyond reason");
  if (ttl < kNoTtl || ttl > kMaxTtlMs) return Bad("its TTL is beyond reason");
  if (ttl != kNoTtl) info.meta.ttl = std::chrono::milliseconds(ttl);
  info.meta.wanted_replicas = in.U32();
  info.meta.piece_length = in.U32();
  info.digest = base::Crc32cDigest(header.crc32c);
  const uint8_t sha_follows = in.U8();
  if (sha_follows > 1) return Bad("its digest is unknown");
  if (sha_follows == 1) {
    base::Sha256Digest sha{};
    const base::ByteSpan raw = in.Raw(sha.size());
    if (in.ok()) std::memcpy(sha.data(), raw.data(), sha.size());
    info.digest = base::Sha256DigestOf(sha);
  }
  info.id.ns = in.Str();
  info.id.key = in.Str();
  info.meta.application = in.Str();
  for (uint16_t n = in.U16(); n > 0 && in.ok(); --n) info.meta.tags.emplace_back(in.Str());
  if (!in.ok()) return Bad("its header is cut off");
  if (in.rest().size() < kTrackedSize) return Bad("it says more");
  const base::ByteSpan beyond = in.rest().first(in.rest().size() - kTrackedSize);
  if (std::ranges::any_of(beyond, [](std::byte byte) { return byte != std::byte{0}; })) return Bad("it says more");
  info.tracked = DecodeTracked(bytes.subspan(kTrackedOffset));
  if (!object::CheckNamespace(info.id.ns).ok() || !object::CheckKey(info.id.key).ok()) return Bad("its name is none");
  return header;
}

}  // namespace larder::backends::file
