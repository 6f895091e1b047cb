#include "src/header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::backends::file {
namespace {

using base::StatusIs;
using object::ObjectId;
using object::ObjectInfo;

const auto kBadHeader = StatusIs(absl::StatusCode::kDataLoss, "BAD_HEADER");
const ObjectId kId{"team-a", "k"};

Header SampleHeader(std::mt19937& random) {
  const auto text = [&](size_t most) {
    return std::string(1 + random() % most, static_cast<char>('a' + random() % 26));
  };
  Header header{.sealed_at_ms = static_cast<int64_t>(random()),
                .crc32c = static_cast<uint32_t>(random()),
                .table_crc32c = static_cast<uint32_t>(random())};
  ObjectInfo& info = header.info;
  info.id = {text(63), text(255) + "/" + text(255)};
  info.epoch.value = uint64_t{random()} << 32 | random();
  info.size = uint64_t{random()} << 20;
  info.digest = base::Crc32cDigest(header.crc32c);
  if (random() % 2 == 0) info.digest = base::Sha256DigestOf({static_cast<uint8_t>(random()), 2, 3});
  if (random() % 2 == 0) info.meta.ttl = std::chrono::milliseconds(1 + random());
  info.meta.application = text(128);
  info.meta.wanted_replicas = 1 + random() % 64;
  info.meta.piece_length = 1u << (18 + random() % 6);
  for (uint32_t i = random() % 5; i > 0; --i) info.meta.tags.push_back(text(128));
  return header;
}

void FixCrc(std::array<std::byte, kHeaderSize>& bytes) {
  auto untracked = bytes;
  std::fill(untracked.begin() + kTrackedOffset, untracked.end(), std::byte{0});
  const uint32_t crc = base::Crc32c(base::ByteSpan(untracked).subspan(12));
  std::memcpy(bytes.data() + 8, &crc, sizeof crc);
}

TEST(FileHeader, DecodesToWhatWasEncoded) {
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    const Header header = SampleHeader(random);
    LARDER_ASSERT_OK_AND_ASSIGN(const auto bytes, EncodeHeader(header));
    LARDER_ASSERT_OK_AND_ASSIGN(const Header back, DecodeHeader(bytes));
    EXPECT_EQ(back.info.id, header.info.id);
    EXPECT_EQ(back.info.epoch, header.info.epoch);
    EXPECT_EQ(back.info.size, header.info.size);
    EXPECT_EQ(back.info.digest, header.info.digest);
    EXPECT_EQ(back.info.meta.ttl, header.info.meta.ttl);
    EXPECT_EQ(back.info.meta.tags, header.info.meta.tags);
    EXPECT_EQ(back.info.meta.application, header.info.meta.application);
    EXPECT_EQ(back.info.meta.wanted_replicas, header.info.meta.wanted_replicas);
    EXPECT_EQ(back.info.meta.piece_length, header.info.meta.piece_length);
    EXPECT_EQ(back.sealed_at_ms, header.sealed_at_ms);
    EXPECT_EQ(back.crc32c, header.crc32c);
    EXPECT_EQ(back.table_crc32c, header.table_crc32c);
    EXPECT_EQ(back.info.state, object::ObjectState::kSealed);
  }
}

TEST(FileHeader, RefusesEveryFlippedBitAndEveryOtherLength) {
  std::mt19937 random(2);
  LARDER_ASSERT_OK_AND_ASSIGN(auto bytes, EncodeHeader(SampleHeader(random)));
  std::ranges::copy(EncodeTracked({{3}, {5}}), bytes.begin() + kTrackedOffset);
  ASSERT_EQ(DecodeHeader(bytes)->info.tracked, (object::TrackedAs{{3}, {5}}));
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= std::byte{1} << bit % 8;
    if (bit / 8 < kTrackedOffset) {
      ASSERT_THAT(DecodeHeader(bytes), kBadHeader) << bit;
    } else {
      // The object is as it was; what the cluster knows it as can be asked.
      LARDER_ASSERT_OK_AND_ASSIGN(const Header header, DecodeHeader(bytes));
      ASSERT_EQ(header.info.tracked, std::nullopt) << bit;
    }
    bytes[bit / 8] ^= std::byte{1} << bit % 8;
  }
  for (const size_t length : {0u, 1u, 12u, 100u, 4095u}) {
    EXPECT_THAT(DecodeHeader(base::ByteSpan(bytes).first(length)), kBadHeader) << length;
  }
}

TEST(FileHeader, RefusesWhatEncodeNeverMakesEvenWithAGoodChecksum) {
  std::mt19937 random(3);
  Header header = SampleHeader(random);
  header.info.digest = base::Crc32cDigest(header.crc32c);
  LARDER_ASSERT_OK_AND_ASSIGN(const auto good, EncodeHeader(header));
  const auto refused = [&](size_t at, uint8_t value) {
    auto bytes = good;
    bytes[at] = std::byte{value};
    FixCrc(bytes);
    EXPECT_THAT(DecodeHeader(bytes), kBadHeader) << "byte " << at;
  };
  refused(4075, 1);   // the rest is zero
  refused(60, 2);     // a SHA-256 follows or it does not
  refused(62, 255);   // the namespace's length
  refused(43, 0x7F);  // sealed in a far future
  refused(51, 0xF0);  // a TTL below none
  for (const std::string key : {"", "../../etc/passwd", "/abs", "a//b"}) {
    header.info.id.key = key;
    LARDER_ASSERT_OK_AND_ASSIGN(const auto bytes, EncodeHeader(header));
    EXPECT_THAT(DecodeHeader(bytes), kBadHeader) << key;
  }
  header.info.id = {"Not A Label", "k"};
  LARDER_ASSERT_OK_AND_ASSIGN(const auto bytes, EncodeHeader(header));
  EXPECT_THAT(DecodeHeader(bytes), kBadHeader);
}

TEST(FileHeader, EncodesNothingThatItWouldNotDecode) {
  const auto bad_meta = StatusIs(absl::StatusCode::kInvalidArgument, "BAD_META");
  Header header{.info = {.id = kId}};
  header.info.meta.tags.assign(40, std::string(128, 't'));
  EXPECT_THAT(EncodeHeader(header), bad_meta) << "too long";
  header.info.meta.tags = {std::string(70'000, 't')};
  EXPECT_THAT(EncodeHeader(header), bad_meta) << "cut to what a length can say";
  header.info.meta.tags.assign(70'000, "");
  EXPECT_THAT(EncodeHeader(header), bad_meta) << "too many";
  header.info.meta.tags.clear();
  header.info.meta.ttl = std::chrono::hours(24) * 365 * 100 + std::chrono::milliseconds(1);
  EXPECT_THAT(EncodeHeader(header), bad_meta) << "longer than 100 years";
}

}  // namespace
}  // namespace larder::backends::file
