#include "larder/base/digest.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "larder/base/testing/status_matchers.h"

namespace larder::base {
namespace {

constexpr char kShaOfAbc[] = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Crc32c, HasTheCheckValuesOfTheStandard) {
  EXPECT_EQ(Crc32c(AsBytes("123456789")), 0xE3069283);
  EXPECT_EQ(Crc32c(AsBytes(std::string(32, '\0'))), 0x8A9136AA);
  EXPECT_EQ(Crc32c({}), 0);
}

TEST(Crc32c, GoesOnFromAnEarlierPart) {
  const std::string text(100'000, 'x');
  const ByteSpan bytes = AsBytes(text);
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{4095}, bytes.size()}) {
    EXPECT_EQ(Crc32c(bytes.subspan(cut), Crc32c(bytes.first(cut))), Crc32c(bytes)) << cut;
  }
}

TEST(Crc32c, OfTwoPartsIsThatOfTheWhole) {
  const std::string text = std::string(50'000, 'x') + std::string(50'000, '\0');
  const ByteSpan bytes = AsBytes(text);
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{4095}, size_t{65'536}, bytes.size()}) {
    const ByteSpan rest = bytes.subspan(cut);
    EXPECT_EQ(Crc32cCombine(Crc32c(bytes.first(cut)), Crc32c(rest), rest.size()), Crc32c(bytes)) << cut;
  }
}

TEST(Crc32c, OfTwoPartsHoldsForLengthsBeyondWhatFitsMemory) {
  // Zeros change a checksum alike, in one step or in many; here is none of an end, so 0 stands for them.
  for (const uint64_t half : {uint64_t{1} << 28, uint64_t{1} << 29, uint64_t{1} << 40, (uint64_t{1} << 35) + 12345}) {
    const uint32_t once = Crc32cCombine(0x12345678, 0, 2 * half);
    EXPECT_EQ(Crc32cCombine(Crc32cCombine(0x12345678, 0, half), 0, half), once) << half;
  }
}

TEST(Sha256, HasTheCheckValuesOfTheStandard) {
  Sha256 sha;
  EXPECT_EQ(FormatDigest(Sha256DigestOf(sha.Finish())),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  sha.Update(AsBytes("a"));
  sha.Update(AsBytes("bc"));
  EXPECT_EQ(FormatDigest(Sha256DigestOf(sha.Finish())), kShaOfAbc);
}

TEST(Sha256, IsAsNewAfterFinish) {
  Sha256 sha;
  sha.Update(AsBytes("something else"));
  sha.Finish();
  sha.Update(AsBytes("abc"));
  Sha256 moved = std::move(sha);
  EXPECT_EQ(FormatDigest(Sha256DigestOf(moved.Finish())), kShaOfAbc);
}

TEST(Digest, ReadsBackWhatItWrites) {
  for (const std::string& text : {std::string(kShaOfAbc), std::string("crc32c:0006a1ff")}) {
    LARDER_ASSERT_OK_AND_ASSIGN(const Digest digest, ParseDigest(text));
    EXPECT_EQ(FormatDigest(digest), text);
  }
  EXPECT_EQ(FormatDigest(Digest{}), "");
}

TEST(Digest, ReadsUpperCaseHex) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Digest digest, ParseDigest("crc32c:E3069283"));
  EXPECT_EQ(digest, Crc32cDigest(0xE3069283));
}

TEST(Digest, RefusesOtherForms) {
  for (const char* text : {"", "crc32c:", "crc32c:12345", "crc32c:123456789", "crc32c:1234567g", "sha256:00", "md5:00",
                           "E3069283", "crc32c: 1234567", "SHA256:00"}) {
    EXPECT_THAT(ParseDigest(text), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_DIGEST")) << text;
  }
}

}  // namespace
}  // namespace larder::base
