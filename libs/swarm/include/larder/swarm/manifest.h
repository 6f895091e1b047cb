#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/base/digest.h"
#include "larder/base/units.h"

namespace larder::swarm {

inline constexpr uint32_t kMinPieceLength = 256 * base::kKiB;
inline constexpr uint32_t kMaxPieceLength = 16 * base::kMiB;
inline constexpr uint32_t kMaxPieces = 1 << 20;  // 16 TiB in the longest pieces

// The piece list of a sealed object: what a child holds against every byte it is given. Plain data.
struct Manifest {
  uint64_t size = 0;             // bytes of the object
  uint32_t piece_length = 0;     // bytes of each piece but the last; a power of two
  std::vector<uint32_t> pieces;  // CRC-32C of each, none for an empty object
  base::Digest digest;           // of the object
  bool operator==(const Manifest&) const = default;

  uint32_t piece_count() const { return static_cast<uint32_t>(pieces.size()); }
  uint64_t OffsetOf(uint32_t piece) const { return uint64_t{piece} * piece_length; }
  // Bytes of one piece.
  uint32_t SizeOf(uint32_t piece) const;
};

// The CRC-32C of all bytes.
uint32_t CrcOf(const Manifest& manifest);

// A power of two within kMinPieceLength..kMaxPieceLength.
bool IsPieceLength(uint64_t length);

// The piece length that a manifest for `size` bytes gets: `wanted` if it is one, else object::PieceLengthFor(size);
// doubled until there are kMaxPieces at most.
uint32_t ChoosePieceLength(uint64_t size, uint32_t wanted);

// OK if it says nothing impossible: as many pieces as size and length give, a digest of CRC-32C that is that of the
// pieces together. INVALID_ARGUMENT (BAD_MANIFEST).
absl::Status CheckManifest(const Manifest& manifest);

// docs/formats/pieces.md. The same manifest always gives the same bytes.
std::string EncodeManifest(const Manifest& manifest);
// From bytes nobody trusts; allocates no more than a small multiple of them. INVALID_ARGUMENT (BAD_MANIFEST).
absl::StatusOr<Manifest> DecodeManifest(base::ByteSpan bytes);
// SHA-256 of the encoded form: what names it in the tracker's record.
base::Sha256Digest ManifestDigest(const Manifest& manifest);

// The manifest of an object of `size` bytes with these checksums of its grains (object/grains.h): its bytes are not
// needed. `piece_length` 0: by size; INVALID_ARGUMENT (BAD_PIECE_LENGTH) for one that ChoosePieceLength would not take.
// `digest` kNone: the CRC-32C of all bytes.
absl::StatusOr<Manifest> MakeManifest(uint64_t size, std::span<const uint32_t> grains, uint32_t piece_length,
                                      const base::Digest& digest);

}  // namespace larder::swarm
