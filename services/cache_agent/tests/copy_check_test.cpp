#include "core/copy_check.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "larder/object/grains.h"
#include "tests/tracked_peer_fixture.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::kKiB;
using base::StatusIs;
using object::kGrain;

const auto kChecksum = StatusIs(absl::StatusCode::kDataLoss, "CHECKSUM");

// Sealed bytes, of which some were changed since.
class View final : public object::BlobView {
 public:
  explicit View(std::string bytes) : bytes_(std::move(bytes)) {
    object::GrainSums sums;
    sums.Append(base::AsBytes(bytes_));
    grains_ = std::move(sums).Take();
  }
  void Change(uint64_t offset) { bytes_[offset] = static_cast<char>(bytes_[offset] ^ 1); }
  void Fail(absl::Status why) { why_ = std::move(why); }

  uint64_t size() const override { return bytes_.size(); }
  absl::Status Read(uint64_t offset, base::MutableByteSpan out) const override {
    std::ranges::copy(base::AsBytes(bytes_).subspan(offset, out.size()), out.begin());
    return why_;
  }
  std::span<const uint32_t> grains() const override { return grains_; }

 private:
  std::string bytes_;
  std::vector<uint32_t> grains_;
  absl::Status why_;
};

TEST(CheckBytes, ComparesTheGrainsThatHoldThemAndNoOthers) {
  View view(std::string(5 * kGrain + 7, 'x'));
  EXPECT_THAT(CheckBytes(view, 0, view.size()), IsOk());
  view.Change(2 * kGrain + 1);
  EXPECT_THAT(CheckBytes(view, 0, 2 * kGrain), IsOk());
  EXPECT_THAT(CheckBytes(view, 3 * kGrain, 10 * kGrain), IsOk()) << "and no further than the last";
  EXPECT_THAT(CheckBytes(view, 2 * kGrain, 1), kChecksum);
  EXPECT_THAT(CheckBytes(view, kGrain, 2 * kGrain), kChecksum);
  view.Change(2 * kGrain + 1);
  view.Change(5 * kGrain + 6);
  EXPECT_THAT(CheckBytes(view, 4 * kGrain, kGrain + 7), kChecksum) << "in the last, which is shorter";
}

class CopyCheckTest : public TrackedPeerTest {
 protected:
  // Looks at all of a copy that lies here as `view`.
  void Look(const std::shared_ptr<const View>& view) {
    const object::ObjectId id{"team-a", "k"};
    CopyCheck check(
        {.lookup = [&](const object::ObjectId& wanted, object::Epoch epoch) -> absl::StatusOr<TrackedPeer::Served> {
           absl::StatusOr<TrackedPeer::Served> served = peer_->Serve(wanted, epoch);
           if (served.ok()) served->view = view;
           return served;
         },
         .peer = *peer_,
         .executor = executor_,
         .log = log_},
        metrics_);
    check.Look(id, {7}, 0, view->size());
    check.Look(id, {8}, 0, view->size());  // an epoch that is not here says nothing of this one
  }
  bool Said(const std::string& line) { return metrics_.Render().find(line + "\n") != std::string::npos; }

  observe::Registry metrics_;
  observe::Logger log_{{.output = [](std::string_view) {}}, node_->clock()};
  const std::string bytes_ = std::string(3 * kGrain, 'y');
};

TEST_F(CopyCheckTest, ASoundCopyStaysWhateverAChildSaysOfIt) {
  PutTracked("k", bytes_);
  Look(std::make_shared<View>(bytes_));
  EXPECT_TRUE(Readable("k"));
  EXPECT_TRUE(Said(R"(larder_transfer_doubts_total{result="ok"} 1)"));
}

TEST_F(CopyCheckTest, ADamagedCopyGoesAndTheClusterHearsOfIt) {
  PutTracked("k", bytes_);
  const auto view = std::make_shared<View>(bytes_);
  view->Change(2 * kGrain);
  Look(view);
  EXPECT_FALSE(Readable("k"));
  EXPECT_EQ(peer_->usage().damaged, 1u);
  Pass(std::chrono::seconds(1));
  EXPECT_THAT(cluster_.open(), testing::ElementsAre("give up k 7"));
  EXPECT_TRUE(Said(R"(larder_transfer_doubts_total{result="damaged"} 1)"));
}

TEST_F(CopyCheckTest, ACopyThatCannotBeReadJustNowIsNotCalledDamaged) {
  PutTracked("k", bytes_);
  const auto view = std::make_shared<View>(bytes_);
  view->Fail(base::Error(absl::StatusCode::kUnavailable, "DISK", "too many descriptors"));
  Look(view);
  EXPECT_TRUE(Readable("k"));
  EXPECT_TRUE(Said(R"(larder_transfer_doubts_total{result="unread"} 1)"));
}

}  // namespace
}  // namespace larder::cache_agent
