#include "larder/swarm/manifest.h"

#include <algorithm>
#include <bit>

#include "larder/base/codec.h"
#include "larder/base/status.h"
#include "larder/object/grains.h"
#include "larder/object/object.h"
#include "src/digest_codec.h"

namespace larder::swarm {
namespace {

constexpr uint8_t kVersion = 1;

uint64_t PiecesFor(uint64_t size, uint64_t length) { return size / length + (size % length != 0 ? 1 : 0); }

absl::Status Bad(std::string_view why) { return base::InvalidArgument("BAD_MANIFEST", "{}", why); }

}  // namespace

bool IsPieceLength(uint64_t length) {
  return std::has_single_bit(length) && length >= kMinPieceLength && length <= kMaxPieceLength;
}

uint32_t Manifest::SizeOf(uint32_t piece) const {
  return static_cast<uint32_t>(std::min<uint64_t>(piece_length, size - OffsetOf(piece)));
}

uint32_t CrcOf(const Manifest& manifest) {
  uint32_t crc = 0;
  for (uint32_t piece = 0; piece < manifest.piece_count(); ++piece) {
    crc = base::Crc32cCombine(crc, manifest.pieces[piece], manifest.SizeOf(piece));
  }
  return crc;
}

uint32_t ChoosePieceLength(uint64_t size, uint32_t wanted) {
  uint64_t length = IsPieceLength(wanted) ? wanted : object::PieceLengthFor(size);
  while (length < kMaxPieceLength && PiecesFor(size, length) > kMaxPieces) length *= 2;
  return static_cast<uint32_t>(length);
}

absl::Status CheckManifest(const Manifest& manifest) {
  if (!IsPieceLength(manifest.piece_length)) return Bad("a piece length that is no power of two, or too short or long");
  if (manifest.pieces.size() > kMaxPieces) return Bad("too many pieces");
  if (manifest.pieces.size() != PiecesFor(manifest.size, manifest.piece_length)) {
    return Bad("not as many pieces as the object's size makes");
  }
  if (manifest.digest.kind == base::Digest::Kind::kCrc32c && manifest.digest.crc32c != CrcOf(manifest)) {
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

absl::StatusOr<Manifest> MakeManifest(uint64_t size, std::span<const uint32_t> grains, uint32_t piece_length,
                                      const base::Digest& digest) {
  if (piece_length != 0 && !IsPieceLength(piece_length)) {
    return base::InvalidArgument("BAD_PIECE_LENGTH", "a piece length of {}: a power of two within {}..{} is one",
                                 piece_length, kMinPieceLength, kMaxPieceLength);
  }
  Manifest manifest{.size = size, .piece_length = ChoosePieceLength(size, piece_length), .digest = digest};
  const size_t grains_each = manifest.piece_length / object::kGrain;
  while (!grains.empty()) {
    const std::span piece = grains.first(std::min(grains_each, grains.size()));
    manifest.pieces.push_back(object::CombineGrains(piece, manifest.SizeOf(manifest.piece_count())));
    grains = grains.subspan(piece.size());
  }
  if (digest.kind == base::Digest::Kind::kNone) manifest.digest = base::Crc32cDigest(CrcOf(manifest));
  return manifest;
}

}  // namespace larder::swarm
