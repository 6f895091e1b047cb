#include "core/arriving_copies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/served_pieces.h"
#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/units.h"
#include "larder/object/grains.h"

namespace larder::cache_agent {
namespace {

using base::StatusIs;
using ::testing::HasSubstr;

const object::ObjectId kId{"team", "model"};

// A copy whose bytes are all 'c'.
class Copy final : public object::IncomingCopy {
 public:
  base::MutableByteSpan At(uint64_t, uint64_t) override { return {}; }
  absl::Status Keep(uint32_t) override { return absl::OkStatus(); }
  const std::vector<bool>& kept() const override { return kept_; }
  void Park() override {}
  absl::Status ReadKept(uint64_t, base::MutableByteSpan out) const override {
    std::ranges::fill(out, std::byte{'c'});
    return absl::OkStatus();
  }
  absl::StatusOr<object::ReadGrant> Lend(object::SessionId, const object::ByteRun&) override {
    return absl::UnimplementedError("not asked");
  }
  void Seal(uint32_t, object::Done<absl::StatusOr<object::ObjectInfo>>) override {}

 private:
  const std::vector<bool> kept_;
};

// A sealed object, in memory.
class View final : public object::BlobView {
 public:
  explicit View(std::string bytes) : bytes_(std::move(bytes)) { sums_.Append(base::AsBytes(bytes_)); }
  uint64_t size() const override { return bytes_.size(); }
  absl::Status Read(uint64_t, base::MutableByteSpan) const override { return absl::UnimplementedError("not asked"); }
  std::span<const uint32_t> grains() const override { return sums_.grains(); }
  base::ByteSpan MemoryAt(uint64_t offset) const override { return base::AsBytes(bytes_).subspan(offset); }

 private:
  const std::string bytes_;
  object::GrainSums sums_;
};

class ArrivingCopiesTest : public testing::Test {
 protected:
  ArrivingCopiesTest() { pieces_->Set(0, swarm::PieceMap::State::kHeld); }

  std::shared_ptr<ArrivingCopies::Offer> Begin(uint64_t epoch = 7) {
    auto offer = arriving_.Make(kId, {epoch}, copy_);
    offer->Begin(manifest_, pieces_);
    return offer;
  }
  // The first four bytes that it gives; none: nothing.
  static std::string Given(const swarm::ServedObject& object) {
    const swarm::PieceBytes::Stretch stretch = object.bytes->At(0, 4);
    return std::string(base::AsText(stretch.memory));
  }

  observe::Registry metrics_;
  ArrivingCopies arriving_{metrics_};
  const std::shared_ptr<Copy> copy_ = std::make_shared<Copy>();
  const std::shared_ptr<swarm::PieceMap> pieces_ = std::make_shared<swarm::PieceMap>(swarm::PieceSet(2));
  const std::shared_ptr<const swarm::Manifest> manifest_ = std::make_shared<swarm::Manifest>();
};

TEST_F(ArrivingCopiesTest, ACopyIsGivenFromItsBeginToItsEndUnderItsEpochAlone) {
  const auto offer = arriving_.Make(kId, {7}, copy_);
  EXPECT_FALSE(arriving_.Find(kId, {7})) << "nobody knows its pieces yet";
  offer->Begin(manifest_, pieces_);
  const auto found = arriving_.Find(kId, {7});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->manifest, manifest_);
  EXPECT_EQ(found->pieces, pieces_);
  EXPECT_EQ(Given(*found), "cccc");
  EXPECT_THAT(metrics_.Render(), HasSubstr("larder_swarm_in_progress_bytes_total 4"));
  EXPECT_FALSE(arriving_.Find(kId, {8}));
  EXPECT_FALSE(arriving_.Find({"team", "other"}, {7}));
}

TEST_F(ArrivingCopiesTest, WhatIsGivenUpIsReadNoMoreAndHoldsNothing) {
  auto offer = Begin();
  const auto found = arriving_.Find(kId, {7});
  const swarm::PieceBytes::Stretch before = found->bytes->At(0, 4);
  offer.reset();
  EXPECT_FALSE(arriving_.Find(kId, {7}));
  EXPECT_EQ(Given(*found), "");
  EXPECT_EQ(copy_.use_count(), 1) << "its room is free, whoever is being given pieces";
  EXPECT_EQ(base::AsText(before.memory), "cccc") << "what is on its way stays";
}

TEST_F(ArrivingCopiesTest, WhileItIsSealedWhoIsGivenPiecesWaitsAndThenGetsThemFromThere) {
  const auto offer = Begin();
  const auto found = arriving_.Find(kId, {7});
  int told = 0;
  const auto listening = pieces_->Listen([&] { ++told; });
  offer->BeginMove();
  EXPECT_EQ(pieces_->at(0), swarm::PieceMap::State::kArriving);
  EXPECT_TRUE(pieces_->held().Has(0));
  EXPECT_EQ(Given(*found), "");
  EXPECT_TRUE(arriving_.Find(kId, {7})) << "not before it is found elsewhere";
  told = 0;
  offer->Moved(std::make_shared<View>("sealed"));
  EXPECT_GT(told, 0);
  EXPECT_EQ(pieces_->at(0), swarm::PieceMap::State::kHeld);
  EXPECT_EQ(Given(*found), "seal");
  EXPECT_FALSE(arriving_.Find(kId, {7}));
  EXPECT_THAT(metrics_.Render(), HasSubstr("larder_swarm_in_progress_bytes_total 0"));
}

TEST_F(ArrivingCopiesTest, AFetchThatBeganMeanwhileStays) {
  auto first = Begin();
  const auto second = Begin();
  first.reset();
  EXPECT_TRUE(arriving_.Find(kId, {7}));
}

TEST_F(ArrivingCopiesTest, WhatArrivesIsServedThoughTheNodeDoesNotHaveIt) {
  ServedPieces served({.lookup = [](const object::ObjectId&, object::Epoch) -> absl::StatusOr<TrackedPeer::Served> {
                         return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "not here");
                       },
                       .doubted = nullptr},
                      arriving_);
  EXPECT_THAT(served.Find(kId, {7}, 0), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  const auto offer = Begin();
  LARDER_ASSERT_OK_AND_ASSIGN(const swarm::ServedObject object, served.Find(kId, {7}, 0));
  EXPECT_EQ(object.pieces, pieces_);
  EXPECT_THAT(served.Find(kId, {8}, 0), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_F(ArrivingCopiesTest, ASealedCopyIsServedInThePiecesThatAreAskedFor) {
  const TrackedPeer::Served copy = {
      .info = {.id = kId, .epoch = {4}, .size = base::kMiB + 1, .meta = {.piece_length = base::kMiB}},
      .view = std::make_shared<View>(std::string(base::kMiB + 1, 's'))};
  ServedPieces served({.lookup = [&](const object::ObjectId&, object::Epoch) { return copy; }, .doubted = nullptr},
                      arriving_);
  const auto manifest_for = [&](uint32_t piece_length) { return served.Find(kId, {7}, piece_length).value().manifest; };
  EXPECT_EQ(manifest_for(0)->piece_length, base::kMiB) << "its own";
  LARDER_ASSERT_OK_AND_ASSIGN(const swarm::Manifest expected,
                              swarm::MakeManifest(copy.info.size, copy.view->grains(), 256 * base::kKiB, {}));
  EXPECT_EQ(*manifest_for(256 * base::kKiB), expected);
  EXPECT_EQ(manifest_for(256 * base::kKiB), manifest_for(256 * base::kKiB)) << "made once";
  EXPECT_EQ(manifest_for(0), manifest_for(base::kMiB));
}

}  // namespace
}  // namespace larder::cache_agent
