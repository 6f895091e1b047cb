#include "src/piece_ledger.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "larder/base/digest.h"
#include "larder/object/grains.h"
#include "tests/swarm_fixture.h"

namespace larder::swarm {
namespace {

constexpr uint32_t kSize = 1000;

class Ledger : public testing::Test {
 protected:
  Ledger() { ledger_.Want({0, UINT32_MAX}); }
  static std::vector<std::byte> Sample() {
    std::vector<std::byte> bytes;
    for (uint32_t i = 0; i < kSize; ++i) bytes.push_back(static_cast<std::byte>(i * 7 + 1));
    return bytes;
  }
  static std::shared_ptr<const Manifest> ManifestOf(const std::vector<std::byte>& bytes) {
    object::GrainSums sums;
    sums.Append(bytes);
    return std::make_shared<const Manifest>(MakeManifest(sums.size(), sums.grains(), 0, {}).value());
  }
  // The flight's parent sends what comes next.
  PieceLedger::Outcome Send(Flight& flight, uint32_t size) {
    const uint32_t from = flight.received;
    const auto room = ledger_.Room(flight, {.request = flight.request, .piece = 0, .offset = from}, 0, size);
    EXPECT_TRUE(room.has_value());
    const base::ByteSpan sent = base::ByteSpan(bytes_).subspan(from, size);
    std::ranges::copy(sent, room->begin());
    return ledger_.Arrived(flight, size, base::Crc32c(sent)).value();
  }
  const std::vector<std::byte> bytes_ = Sample();
  std::vector<std::byte> place_ = std::vector<std::byte>(kSize, std::byte{0xEE});
  MemoryDestination destination_{place_};
  PieceLedger ledger_{ManifestOf(bytes_), destination_, PieceSet(1)};
};

TEST_F(Ledger, OthersAreToldThatAPieceArrivesOnlyIfItsGiverHasIt) {
  Flight flight = ledger_.Begin({0, 1}, 1, false);
  EXPECT_EQ(ledger_.map()->at(0), PieceMap::State::kAbsent) << "its giver may wait for it here";
  ledger_.End(flight);
  flight = ledger_.Begin({0, 1}, 2);
  EXPECT_EQ(ledger_.map()->at(0), PieceMap::State::kArriving);
  Send(flight, kSize);
  EXPECT_EQ(ledger_.map()->at(0), PieceMap::State::kHeld);
}

// What the first duplicate brought lies in no destination: the second must bring it anew.
TEST_F(Ledger, ADuplicateOfADuplicateWhoseOriginalEndedBringsAllBytes) {
  Flight original = ledger_.Begin({0, 1}, 1);
  EXPECT_EQ(Send(original, 100), PieceLedger::Outcome::kMore);
  Flight duplicate = ledger_.BeginDuplicate(0, 2, original);
  EXPECT_EQ(duplicate.received, 100u);
  EXPECT_EQ(Send(duplicate, 200), PieceLedger::Outcome::kMore);
  ledger_.End(original);
  Flight second = ledger_.BeginDuplicate(0, 3, duplicate);
  EXPECT_EQ(Send(second, kSize - second.received), PieceLedger::Outcome::kVerified);
  EXPECT_TRUE(place_ == bytes_);
}

TEST_F(Ledger, NothingHasRoomBeyondItsPiece) {
  Flight flight = ledger_.Begin({0, 1}, 1);
  EXPECT_EQ(Send(flight, 900), PieceLedger::Outcome::kMore);
  const PieceFrame frame{.piece = 0, .offset = 900};
  EXPECT_TRUE(ledger_.Room(flight, frame, 0, 100).has_value());
  EXPECT_FALSE(ledger_.Room(flight, frame, 0, 101).has_value());
  EXPECT_FALSE(ledger_.Room(flight, frame, 100, 1).has_value());
  EXPECT_FALSE(ledger_.Room(flight, frame, 0xFFFFFFFF, 1).has_value());
  EXPECT_FALSE(ledger_.Room(flight, {.piece = 0, .offset = 899}, 0, 1).has_value()) << "it has come";
}

TEST_F(Ledger, ADuplicateIsCopiedToAPlaceInSeveralRanges) {
  TestDestination ranges;
  ranges.range_sizes = {1, 333, 97};
  const auto manifest = ManifestOf(bytes_);
  ASSERT_THAT(ranges.Prepare(manifest, nullptr), base::IsOk());
  PieceLedger ledger(manifest, ranges, PieceSet(1));
  ledger.Want({0, 1});
  const Flight original = ledger.Begin({0, 1}, 1);
  Flight duplicate = ledger.BeginDuplicate(0, 2, original);
  const auto room = ledger.Room(duplicate, {.piece = 0}, 0, kSize);
  ASSERT_TRUE(room.has_value());
  std::ranges::copy(bytes_, room->begin());
  EXPECT_EQ(ledger.Arrived(duplicate, kSize, base::Crc32c(bytes_)).value(), PieceLedger::Outcome::kVerified);
  EXPECT_EQ(ranges.bytes, base::AsText(bytes_));
}

}  // namespace
}  // namespace larder::swarm
