#pragma once
#include <string>
#include <vector>

#include "larder/base/units.h"
#include "tests/scripted_fetcher.h"
#include "tests/tracked_peer_fixture.h"

namespace larder::cache_agent {

inline constexpr uint32_t kPiece = 256 * base::kKiB;
inline const object::ObjectId kK{"team-a", "k"};

// Reads of objects that lie on other nodes, whose fetches do what the test says. By the store.
class TrackedReadsTest : public TrackedPeerTest, public testing::WithParamInterface<std::string> {
 protected:
  using Read = object::Answer<absl::StatusOr<object::ReadGrant>>;

  TrackedReadsTest() : TrackedPeerTest(GetParam()) {
    EXPECT_THAT(tickets_.SetKeys({{.id = 1, .secret = {7}}}), base::IsOk());
    peer_->FetchBy(fetcher_, tickets_, arriving_, &board_, log_);
  }
  ~TrackedReadsTest() override { peer_->StopFetching(); }

  Read GetLater(base::Deadline deadline = base::kNoDeadline) {
    Read answer;
    peer_->Get(caller_->session(), "k", deadline, answer.Slot());
    return answer;
  }
  static ClusterCopy At(const std::string& node) {
    return {.node = node, .address = "127.0.0.1:1", .node_epoch = 5, .version = 9, .confirmed = true, .live = true};
  }
  // What the cluster says of an object with `bytes`, sealed under `epoch`, that these nodes have.
  static ClusterObject On(const std::vector<std::string>& nodes, object::Epoch epoch = {7}) {
    ClusterObject object;
    object.info = {.id = kK,
                   .state = object::ObjectState::kSealed,
                   .epoch = epoch,
                   .size = Bytes().size(),
                   .digest = base::Crc32cDigest(base::Crc32c(base::AsBytes(Bytes()))),
                   .meta = {.piece_length = kPiece},
                   .tracked = ScriptedCluster::Copy(epoch)};
    for (const std::string& node : nodes) object.copies.push_back(At(node));
    return object;
  }
  static const std::string& Bytes() {
    static const std::string kBytes = [] {
      const std::vector<std::byte> sample = object::SampleBytes(base::kMiB + 77);
      return std::string(base::AsText(sample));
    }();
    return kBytes;
  }
  // A read that the cluster sends to node b, whose fetch has begun.
  Read Begin() {
    Read read = GetLater();
    AnswerLocate(std::vector{On({"b"})});
    return read;
  }
  ScriptedFetcher::Begun& fetch() { return *fetcher_.fetches.back(); }
  void ExpectNothingLeft() {
    EXPECT_EQ(peer_->usage().objects, 0u);
    EXPECT_EQ(node_->Used(), used_at_start_);
  }

  observe::Registry metrics_;
  ArrivingCopies arriving_{metrics_};
  FetchBoard board_{[] {}};
  ScriptedFetcher fetcher_;
  swarm::TicketSigner tickets_;
  observe::Logger log_{{.output = [](std::string_view) {}}, node_->clock()};
  const uint64_t used_at_start_ = node_->Used();
};

}  // namespace larder::cache_agent
