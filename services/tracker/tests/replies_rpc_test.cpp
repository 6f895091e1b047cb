#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <set>

#include "core/command.h"
#include "larder/base/status.h"
#include "larder/rpc/channel.h"
#include "rpc/reply_proto.h"

namespace larder::tracker {
namespace {

struct Pair {
  Reply reply;
  std::string text;
};

std::vector<Pair> Pairs() {
  return {
      {Refusal{absl::StatusCode::kAborted, "HELD", "node-1 has it", "node-1"},
       R"(refusal { code: 10 reason: "HELD" message: "node-1 has it" holder: "node-1" })"},
      {Done{}, "done {}"},
      {NodeRegistered{NodeEpoch{3}}, "node_registered { node_epoch: 3 }"},
      {RegisteredWithKey{NodeEpoch{3}, 1, "key"},
       R"(node_registered { node_epoch: 3 piece_key: "key" piece_key_id: 1 })"},
      {CreateGranted{BlobId{8}, Epoch{9}}, "create_granted { blob: 8 epoch: 9 }"},
      {Sealed{BlobId{8}, Epoch{9}}, "sealed { blob: 8 epoch: 9 }"},
      {Effect{true}, "effect { changed: true }"},
      {TicketGranted{UploadTicket{11}, {"team", "a"}, LogTime{5}, "old"},
       R"(ticket_granted { ticket: 11 object { namespace: "team" key: "a" } until_log_ns: 5 replaces: "old" })"},
      {LeaseGranted{LeaseToken{12}, LogTime{5}}, "lease_granted { token: 12 until_log_ns: 5 }"},
      {SessionOpened{ClientSession{13}}, "session_opened { session: 13 }"},
      {BucketsCompared{{7, 255}}, "buckets_compared { differing: [7, 255] }"},
      {BucketSynced{BlobId{8}, 1, 2, 3, {{{BlobId{9}, Epoch{10}, CopyKind::kStaged}, "DELETED"}}},
       R"(bucket_synced { next: 8 added: 1 dropped: 2 staged_lost: 3
          answers { item { blob: 9 epoch: 10 kind: COPY_KIND_STAGED } reason: "DELETED" } })"},
  };
}

v1::Result Parse(const std::string& text) {
  v1::Result result;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &result)) << text;
  return result;
}

TEST(RepliesRpc, EachBecomesTheResultItIs) {
  for (const auto& [reply, text] : Pairs()) {
    const v1::ApplyResponse response = ToProto({reply});
    ASSERT_EQ(response.results_size(), 1);
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(response.results(0), Parse(text)))
        << response.results(0).ShortDebugString() << " is not " << text;
  }
}

TEST(RepliesRpc, EveryResultIsSomeReply) {
  std::set<std::string> missing;
  const auto& message = *v1::Result::descriptor();
  for (int i = 0; i < message.field_count(); ++i) missing.insert(message.field(i)->name());
  std::set<size_t> kinds;
  for (const auto& [reply, text] : Pairs()) {
    missing.erase(message.FindFieldByNumber(Parse(text).result_case())->name());
    kinds.insert(reply.index());
  }
  EXPECT_THAT(missing, testing::IsEmpty());
  EXPECT_EQ(kinds.size(), std::variant_size_v<Reply> - 3) << "all but Expired, RespSetDone, Count";
}

TEST(RepliesRpc, TellsNothingOfWhatNoRequestAsksFor) {
  const v1::ApplyResponse response = ToProto({Expired{500, true}, RespSetDone{true, "secret"}, Count{2}});
  ASSERT_EQ(response.results_size(), 3);
  for (const v1::Result& result : response.results()) EXPECT_EQ(result.ByteSizeLong(), 0u);
}

TEST(RepliesRpc, TheLongestAnswerFitsIntoAMessage) {
  const Refusal refusal{.code = absl::StatusCode::kAborted,
                        .reason = "HELD",
                        .message = std::string(1500, 'm'),
                        .holder = std::string(512, 'h')};
  const v1::ApplyResponse response = ToProto(std::vector<Reply>(kMaxBatch, refusal));
  EXPECT_LT(response.ByteSizeLong(), static_cast<size_t>(rpc::kMaxMessageBytes));
  EXPECT_EQ(response.results(0).refusal().message(), refusal.message);
  const v1::Refusal& last = response.results(static_cast<int>(kMaxBatch) - 1).refusal();
  EXPECT_EQ(last.message(), "");
  EXPECT_EQ(last.reason(), "HELD");
  EXPECT_EQ(last.holder(), refusal.holder);
}

TEST(RepliesRpc, AFailureKeepsCodeReasonAndMessage) {
  const v1::Failure failure = ToProto(base::Error(absl::StatusCode::kUnavailable, "STOPPING", "this member stops"));
  EXPECT_EQ(failure.code(), 14);
  EXPECT_EQ(failure.reason(), "STOPPING");
  EXPECT_EQ(failure.message(), "this member stops");
}

}  // namespace
}  // namespace larder::tracker
