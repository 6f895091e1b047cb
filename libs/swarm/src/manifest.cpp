#include "larder/swarm/manifest.h"

#include <algorithm>
#include <bit>

#include "larder/base/codec.h"
#include "larder/base/status.h"
#include "larder/object/object.h"
#include "src/digest_codec.h"

namespace larder::swarm {
namespace {

constexpr uint8_t kVersion = 1;

bool AllowedLength(uint64_t length) {
  return std::has_single_bit(length) && length >= kMinPieceLength && length <= kMaxPieceLength;
}

uint64_t PiecesFor(uint64_t size, uint64_t length) { return size / length + (size % length != 0 ? 1 : 0); }

absl::Status Bad(std::string_view why) { return base::InvalidArgument("BAD_MANIFEST", "{}", why); }

// The CRC-32C of parts in a row: all of `length` but the last, which has the rest of `size`.
uint32_t Joined(std::span<const uint32_t> parts, uint64_t length, uint64_t size) {
  uint32_t crc = 0;
  for (const uint32_t part : parts) {
    const uint64_t here = std::min(length, size);
    crc = base::Crc32cCombine(crc, part, here);
    size -= here;
  }
  return crc;
}

}  // namespace

uint32_t Manifest::SizeOf(uint32_t piece) const {
  return static_cast<uint32_t>(std::min<uint64_t>(piece_length, size - OffsetOf(piece)));
}

uint32_t ChoosePieceLength(uint64_t size, uint32_t wanted) {
  uint64_t length = AllowedLength(wanted) ? wanted : object::PieceLengthFor(size);
  while (length < kMaxPieceLength && PiecesFor(size, length) > kMaxPieces) length *= 2;
  return static_cast<uint32_t>(length);
}

absl::Status CheckManifest(const Manifest& manifest) {
  if (!AllowedLength(manifest.piece_length)) return Bad("a piece length that is no power of two, or too short or long");
  if (manifest.pieces.size() > kMaxPieces) return Bad("too many pieces");
  if (manifest.pieces.size() != PiecesFor(manifest.size, manifest.piece_length)) {
    return Bad("not as many pieces as the object's size makes");
  }
  if (manifest.digest.kind == base::Digest::Kind::kCrc32c &&
      manifest.digest.crc32c != Joined(manifest.pieces, manifest.piece_length, manifest.size)) {
    return Bad("an object's CRC-32C that is not that of its pieces");
  }
  return absl::OkStatus();
}

std::string EncodeManifest(const Manifest& manifest) {
  base::ByteWriter out;
  out.U8(kVersion).U64(manifest.size).U32(manifest.piece_length);
  WriteDigest(manifest.digest, out);
  out.U32(manifest.piece_count()).Raw(std::as_bytes(std::span(manifest.pieces)));
  return std::string(base::AsText(out.bytes()));
}

absl::StatusOr<Manifest> DecodeManifest(base::ByteSpan bytes) {
  base::ByteReader in(bytes);
  if (in.U8() != kVersion) return Bad("not a manifest of version 1");
  Manifest manifest{.size = in.U64(), .piece_length = in.U32()};
  manifest.digest = ReadDigest(in);
  const uint32_t count = in.U32();
  if (!in.ok() || in.rest().size() != uint64_t{count} * sizeof(uint32_t)) return Bad("a manifest that is cut off");
  manifest.pieces.resize(count);
  std::ranges::copy(in.rest(), std::as_writable_bytes(std::span(manifest.pieces)).begin());
  LARDER_RETURN_IF_ERROR(CheckManifest(manifest));
  return manifest;
}

base::Sha256Digest ManifestDigest(const Manifest& manifest) {
  base::Sha256 sha;
  sha.Update(base::AsBytes(EncodeManifest(manifest)));
  return sha.Finish();
}

void ManifestBuilder::Append(base::ByteSpan bytes) {
  while (!bytes.empty()) {
    const uint64_t in_grain = size_ % kMinPieceLength;
    if (in_grain == 0) grains_.push_back(0);
    const base::ByteSpan part = bytes.first(std::min<uint64_t>(bytes.size(), kMinPieceLength - in_grain));
    grains_.back() = base::Crc32c(part, grains_.back());
    size_ += part.size();
    bytes = bytes.subspan(part.size());
  }
}

absl::StatusOr<Manifest> ManifestBuilder::Finish(uint32_t piece_length, const base::Digest& digest) const {
  if (piece_length != 0 && !AllowedLength(piece_length)) {
    return base::InvalidArgument("BAD_PIECE_LENGTH", "a piece length of {}: a power of two within {}..{} is one",
                                 piece_length, kMinPieceLength, kMaxPieceLength);
  }
  Manifest manifest{.size = size_, .piece_length = ChoosePieceLength(size_, piece_length), .digest = digest};
  const size_t grains_each = manifest.piece_length / kMinPieceLength;
  for (size_t at = 0; at < grains_.size(); at += grains_each) {
    const std::span part = std::span(grains_).subspan(at, std::min(grains_each, grains_.size() - at));
    const uint32_t size = manifest.SizeOf(static_cast<uint32_t>(manifest.pieces.size()));
    manifest.pieces.push_back(Joined(part, kMinPieceLength, size));
  }
  if (digest.kind == base::Digest::Kind::kNone) {
    manifest.digest = base::Crc32cDigest(Joined(manifest.pieces, manifest.piece_length, size_));
  }
  return manifest;
}

}  // namespace larder::swarm
