#include "larder/swarm/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "larder/base/codec.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/grains.h"

namespace larder::swarm {
namespace {

using base::IsOk;
using base::IsOkAndHolds;
using base::kGiB;
using base::kKiB;
using base::kMiB;
using base::StatusIs;

std::string RandomBytes(size_t size) {
  std::mt19937_64 random(size);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

absl::StatusOr<Manifest> Made(std::string_view bytes, uint32_t piece_length) {
  object::GrainSums sums;
  sums.Append(base::AsBytes(bytes));
  return MakeManifest(sums.size(), sums.grains(), piece_length, {});
}

Manifest ManifestOf(std::string_view bytes, uint32_t piece_length = 0) { return Made(bytes, piece_length).value(); }

absl::Status Decoded(std::string_view bytes) { return DecodeManifest(base::AsBytes(bytes)).status(); }

TEST(ChoosePieceLength, IsBySizeUnlessAnAllowedOneIsWanted) {
  EXPECT_EQ(ChoosePieceLength(0, 0), 1 * kMiB);
  EXPECT_EQ(ChoosePieceLength(64 * kMiB, 0), 1 * kMiB);
  EXPECT_EQ(ChoosePieceLength(256 * kMiB, 0), 4 * kMiB);
  EXPECT_EQ(ChoosePieceLength(256 * kMiB, 512 * kKiB), 512 * kKiB);
  EXPECT_EQ(ChoosePieceLength(1, 16 * kMiB), 16 * kMiB);
  for (const uint32_t refused : {uint32_t{1}, uint32_t{128 * kKiB}, uint32_t{3 * kMiB}, uint32_t{32 * kMiB}}) {
    EXPECT_EQ(ChoosePieceLength(1, refused), 1 * kMiB);
  }
}

TEST(ChoosePieceLength, GrowsUntilThePiecesAreNotTooMany) {
  EXPECT_EQ(ChoosePieceLength(uint64_t{kMaxPieces} * kMinPieceLength, kMinPieceLength), kMinPieceLength);
  EXPECT_EQ(ChoosePieceLength(uint64_t{kMaxPieces} * kMinPieceLength + 1, kMinPieceLength), 2 * kMinPieceLength);
}

TEST(MakeManifest, HasEachPiecesChecksumAndTheWholes) {
  const uint32_t length = 512 * kKiB;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{length} - 1, size_t{length}, size_t{length} + 1,
                            3 * size_t{length} + 300 * kKiB}) {
    const std::string bytes = RandomBytes(size);
    LARDER_ASSERT_OK_AND_ASSIGN(const Manifest manifest, Made(bytes, length));
    EXPECT_EQ(manifest.size, size);
    EXPECT_EQ(manifest.digest, base::Crc32cDigest(base::Crc32c(base::AsBytes(bytes))));
    EXPECT_EQ(manifest.piece_count(), (size + length - 1) / length);
    for (uint32_t piece = 0; piece < manifest.piece_count(); ++piece) {
      const std::string_view part = std::string_view(bytes).substr(manifest.OffsetOf(piece), length);
      EXPECT_EQ(manifest.SizeOf(piece), part.size());
      EXPECT_EQ(manifest.pieces[piece], base::Crc32c(base::AsBytes(part)));
    }
    EXPECT_THAT(CheckManifest(manifest), IsOk());
  }
}

TEST(MakeManifest, HasThePieceLengthThatIsWantedOrOneBySize) {
  const std::string bytes = RandomBytes(3 * kMiB);
  EXPECT_EQ(ManifestOf(bytes).piece_length, 1 * kMiB);
  EXPECT_EQ(ManifestOf(bytes, kMinPieceLength).piece_count(), 12);
  EXPECT_THAT(Made(bytes, 3 * kMiB), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_PIECE_LENGTH"));
}

TEST(ManifestCodec, GivesBackWhatWasEncoded) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{5 * kMiB + 3}}) {
    Manifest manifest = ManifestOf(RandomBytes(size));
    for (const base::Digest& digest : {manifest.digest, base::Sha256DigestOf({1, 2, 3}), base::Digest{}}) {
      manifest.digest = digest;
      EXPECT_THAT(DecodeManifest(base::AsBytes(EncodeManifest(manifest))), IsOkAndHolds(manifest));
    }
  }
}

TEST(ManifestCodec, RefusesWhatIsCutOffOrLonger) {
  const std::string bytes = EncodeManifest(ManifestOf(RandomBytes(3 * kMiB)));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(Decoded(std::string_view(bytes).substr(0, size)),
                StatusIs(absl::StatusCode::kInvalidArgument, "BAD_MANIFEST"));
  }
  EXPECT_THAT(Decoded(bytes + "x"), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_MANIFEST"));
}

TEST(ManifestCodec, IsNotDeceivedAboutTheNumberOfPieces) {
  base::ByteWriter out;
  out.U8(1).U64(kGiB * kGiB).U32(kMaxPieceLength).U8(0).U32(0xFFFFFFFF);
  EXPECT_THAT(DecodeManifest(out.bytes()), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_MANIFEST"));
}

TEST(CheckManifest, RefusesWhatDoesNotFitTogether) {
  const Manifest good = ManifestOf(RandomBytes(3 * kMiB));
  const auto bad = [&](auto change) {
    Manifest manifest = good;
    change(manifest);
    return !CheckManifest(manifest).ok();
  };
  EXPECT_FALSE(bad([](Manifest&) {}));
  EXPECT_TRUE(bad([](Manifest& m) { m.piece_length = 0; }));
  EXPECT_TRUE(bad([](Manifest& m) { m.piece_length -= 1; }));
  EXPECT_TRUE(bad([](Manifest& m) { m.size += 1; }));
  EXPECT_TRUE(bad([](Manifest& m) { m.pieces.pop_back(); }));
  EXPECT_TRUE(bad([](Manifest& m) { m.pieces[1] ^= 1; }));
  EXPECT_TRUE(bad([](Manifest& m) { m.digest.crc32c ^= 1; }));
}

TEST(ManifestDigest, TellsAnyOtherManifestApart) {
  const Manifest manifest = ManifestOf(RandomBytes(3 * kMiB));
  Manifest other = manifest;
  other.digest = {};
  EXPECT_EQ(ManifestDigest(manifest), ManifestDigest(Manifest(manifest)));
  EXPECT_NE(ManifestDigest(manifest), ManifestDigest(other));
}

}  // namespace
}  // namespace larder::swarm
