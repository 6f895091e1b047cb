#include "tests/sample_entries.h"

#include <chrono>

namespace larder::tracker {
namespace {

using std::chrono::seconds;

const ObjectId kObject{"team", "a/b"};
const NodeRef kNode{"node-0", NodeEpoch{3}};

ObjectMeta Meta() {
  base::Sha256Digest sha{};
  for (size_t i = 0; i < sha.size(); ++i) sha[i] = static_cast<uint8_t>(i);
  return {.size = 5,
          .piece_length = 4096,
          .digest = base::Sha256DigestOf(sha),
          .manifest = base::Crc32cDigest(0x01020304),
          .ttl = seconds(60),
          .pinned = true,
          .wanted = 2,
          .tags = {"x", "y"},
          .application = "app"};
}

Entry Plain(Command command) { return {.stamp = LogTime{1000}, .commands = {std::move(command)}}; }

}  // namespace

std::vector<std::pair<std::string, Entry>> SampleEntries() {
  return {
      {"RegisterNode", Plain(RegisterNode{"node-0", 7, "10.0.0.1:7461", "zone", "rack"})},
      {"RegisterWithKey",
       Plain(RegisterWithKey{{"node-0", 7, "10.0.0.1:7461", "zone", "rack"}, std::string(kPieceKeyBytes, 'k')})},
      {"FenceNode", Plain(FenceNode{kNode})},
      {"MarkNode", Plain(MarkNode{"node-0", true, std::nullopt})},
      {"AcquireCreate", Plain(AcquireCreate{kObject, kNode, true, seconds(30)})},
      {"RenewCreates", Plain(RenewCreates{kNode, seconds(30)})},
      {"Seal", Plain(Seal{kObject, Epoch{9}, kNode, CopyKind::kStaged, Meta()})},
      {"Abandon", Plain(Abandon{kObject, Epoch{9}, kNode})},
      {"Publish", Plain(Publish{kObject, Epoch{1}, kNode, CopyKind::kReplica, Meta(), true})},
      {"AddLocation", Plain(AddLocation{BlobId{8}, Epoch{9}, kNode, CopyKind::kReplica})},
      {"GiveUp", Plain(GiveUp{BlobId{8}, Epoch{9}, kNode, true})},
      {"ReportBad", Plain(ReportBad{BlobId{8}, Epoch{9}, kNode, LocationVersion{10}})},
      {"ConfirmBuckets", Plain(ConfirmBuckets{kNode, {{0, 0}, {255, 0x0102030405060708}}})},
      {"SyncBucket", Plain(SyncBucket{kNode, 158, BlobId{1}, BlobId{100}, {{BlobId{8}, Epoch{9}, CopyKind::kStaged}}})},
      {"Delete", Plain(Delete{kObject, Epoch{9}})},
      {"SetMeta", Plain(SetMeta{kObject, Epoch{9}, seconds(1), false, 3, std::vector<std::string>{"z"}})},
      {"Rename", Plain(Rename{kObject, "c", Epoch{9}})},
      {"MakeDir", Plain(MakeDir{{"team", "d"}})},
      {"RemoveDir", Plain(RemoveDir{{"team", "d"}})},
      {"BeginUpload", Plain(BeginUpload{BlobId{8}, Epoch{9}, kNode, seconds(600)})},
      {"CommitOrigin", Plain(CommitOrigin{UploadTicket{11}, "\"etag\"", 0x0a0b0c0d})},
      {"ForgetTicket", Plain(ForgetTicket{UploadTicket{11}})},
      {"GrantLease", Plain(GrantLease{"tier_scheduler", "pod-1", seconds(10)})},
      {"RenewLease", Plain(RenewLease{"tier_scheduler", LeaseToken{12}, seconds(10)})},
      {"ReleaseLease", Plain(ReleaseLease{"tier_scheduler", LeaseToken{12}})},
      {"PutPlan", Plain(PutPlan{"tier_scheduler", LeaseToken{12}, "plan"})},
      {"ExpireDue", Plain(ExpireDue{500})},
      {"OpenSession", Plain(OpenSession{})},
      {"CloseSession", Plain(CloseSession{ClientSession{13}})},
      {"RespSet", Plain(RespSet{{"team", 3}, "key", "value", seconds(5), false, RespSetIf::kPresent, true})},
      {"RespDelete", Plain(RespDelete{{"team", 3}, {"key", "other"}})},
      {"batch", Entry{.stamp = LogTime{1000},
                      .request = RequestId{ClientSession{13}, 5, 2},
                      .fence = Fence{"tier_scheduler", LeaseToken{12}},
                      .commands = {Delete{kObject, Epoch{}}, OpenSession{}}}},
  };
}

std::vector<std::pair<std::string, std::vector<Reply>>> SampleReplies() {
  return {
      {"Refusal", {Refusal{absl::StatusCode::kAborted, "HELD", "node-1 has it", "node-1"}}},
      {"Done", {Done{}}},
      {"NodeRegistered", {NodeRegistered{NodeEpoch{3}}}},
      {"RegisteredWithKey", {RegisteredWithKey{NodeEpoch{3}, 1, std::string(kPieceKeyBytes, 'k')}}},
      {"CreateGranted", {CreateGranted{BlobId{8}, Epoch{9}}}},
      {"Sealed", {Sealed{BlobId{8}, Epoch{9}}}},
      {"Effect", {Effect{true}}},
      {"TicketGranted", {TicketGranted{UploadTicket{11}, kObject, LogTime{5}, "\"old\""}}},
      {"LeaseGranted", {LeaseGranted{LeaseToken{12}, LogTime{5}}}},
      {"SessionOpened", {SessionOpened{ClientSession{13}}}},
      {"Expired", {Expired{500, true}}},
      {"BucketsCompared", {BucketsCompared{{1, 254}}}},
      {"BucketSynced",
       {BucketSynced{BlobId{100}, 3, 2, 1, {{{BlobId{8}, Epoch{9}, CopyKind::kStaged}, "SUPERSEDED"}}}}},
      {"RespSetDone", {RespSetDone{true, "old"}}},
      {"Count", {Count{2}}},
      {"several", {Done{}, Count{1}}},
  };
}

}  // namespace larder::tracker
