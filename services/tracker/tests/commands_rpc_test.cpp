#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <set>

#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "rpc/command_proto.h"

namespace larder::tracker {
namespace {

using base::IsOk;
using base::StatusIs;
using std::chrono::milliseconds;
using testing::HasSubstr;

MATCHER_P2(IsInvalid, reason, part, "") {
  return testing::ExplainMatchResult(StatusIs(absl::StatusCode::kInvalidArgument, reason), arg, result_listener) &&
         testing::ExplainMatchResult(HasSubstr(part), base::Message(arg), result_listener);
}

const ObjectId kObject{"team", "a/b"};
const NodeRef kNode{"node-0", NodeEpoch{3}};
const ObjectMeta kMeta{.size = 5,
                       .piece_length = 4096,
                       .digest = base::Crc32cDigest(0x01020304),
                       .manifest = base::Crc32cDigest(0x05060708),
                       .ttl = milliseconds(60'001),
                       .pinned = true,
                       .wanted = 2,
                       .tags = {"x", "y"},
                       .application = "app"};
constexpr char kMetaText[] = R"(meta { size_bytes: 5 piece_length_bytes: 4096 digest: "crc32c:01020304"
    manifest_digest: "crc32c:05060708" ttl_ms: 60001 pinned: true wanted_replicas: 2 tags: ["x", "y"]
    application: "app" })";
constexpr char kWho[] = R"({ node: "node-0" epoch: 3 })";
constexpr char kWhat[] = R"(object { namespace: "team" key: "a/b" })";

struct Pair {
  std::string text;
  Command command;
};

// Each with every field of it, no two of which are alike.
std::vector<Pair> Pairs() {
  const std::string what = kWhat;
  const std::string who = kWho;
  const std::string meta = kMetaText;
  return {
      {R"(register_node { node: "node-0" incarnation: 7 address: "10.0.0.1:7461" zone: "z" rack: "r" })",
       RegisterNode{"node-0", 7, "10.0.0.1:7461", "z", "r"}},
      {R"(register_node { node: "node-0" incarnation: 7 address: "10.0.0.1:7461" zone: "z" rack: "r"
          offered_piece_key: "short" })",
       RegisterWithKey{{"node-0", 7, "10.0.0.1:7461", "z", "r"}, "short"}},
      {"fence_node { node " + who + "}", FenceNode{kNode}},
      {R"(mark_node { node: "node-0" draining: true quarantined: false })", MarkNode{"node-0", true, false}},
      {"acquire_create {" + what + "holder " + who + "overwrite: true lease_ms: 30001 }",
       AcquireCreate{kObject, kNode, true, milliseconds(30'001)}},
      {"renew_creates { holder " + who + "lease_ms: 30001 }", RenewCreates{kNode, milliseconds(30'001)}},
      {"seal {" + what + "epoch: 9 author " + who + "kind: COPY_KIND_STAGED " + meta + "}",
       Seal{kObject, Epoch{9}, kNode, CopyKind::kStaged, kMeta}},
      {"abandon {" + what + "epoch: 9 author " + who + "}", Abandon{kObject, Epoch{9}, kNode}},
      {"publish {" + what + "alias: 1 author " + who + "kind: COPY_KIND_REPLICA overwrite: true " + meta + "}",
       Publish{kObject, Epoch{1}, kNode, CopyKind::kReplica, kMeta, true}},
      {"add_location { blob: 8 epoch: 9 kind: COPY_KIND_STAGED holder " + who + "}",
       AddLocation{BlobId{8}, Epoch{9}, kNode, CopyKind::kStaged}},
      {"give_up { blob: 8 epoch: 9 evict_last: true holder " + who + "}", GiveUp{BlobId{8}, Epoch{9}, kNode, true}},
      {"report_bad { blob: 8 epoch: 9 version: 10 holder " + who + "}",
       ReportBad{BlobId{8}, Epoch{9}, kNode, LocationVersion{10}}},
      {"delete {" + what + "epoch: 9 }", Delete{kObject, Epoch{9}}},
      {"set_meta {" + what + R"(epoch: 9 ttl_ms: 1001 pinned: false wanted_replicas: 3 tags { tags: "z" } })",
       SetMeta{kObject, Epoch{9}, milliseconds(1001), false, 3, std::vector<std::string>{"z"}}},
      {"rename {" + what + R"(to: "c" epoch: 9 })", Rename{kObject, "c", Epoch{9}}},
      {R"(make_dir { directory { namespace: "team" key: "d" } })", MakeDir{{"team", "d"}}},
      {R"(remove_dir { directory { namespace: "team" key: "d" } })", RemoveDir{{"team", "d"}}},
      {"begin_upload { blob: 8 epoch: 9 ttl_ms: 600001 uploader " + who + "}",
       BeginUpload{BlobId{8}, Epoch{9}, kNode, milliseconds(600'001)}},
      {R"(commit_origin { ticket: 11 etag: "e" crc32c: 12 })", CommitOrigin{UploadTicket{11}, "e", 12}},
      {"forget_ticket { ticket: 11 }", ForgetTicket{UploadTicket{11}}},
      {R"(grant_lease { name: "l" holder: "pod" ttl_ms: 10001 })", GrantLease{"l", "pod", milliseconds(10'001)}},
      {R"(renew_lease { name: "l" token: 12 ttl_ms: 10001 })", RenewLease{"l", LeaseToken{12}, milliseconds(10'001)}},
      {R"(release_lease { name: "l" token: 12 })", ReleaseLease{"l", LeaseToken{12}}},
      {R"(put_plan { name: "l" token: 12 plan: "\000\377" })", PutPlan{"l", LeaseToken{12}, std::string("\0\xff", 2)}},
      {"confirm_buckets { holder " + who + "buckets { bucket: 200 hash: 14 } }",
       ConfirmBuckets{kNode, {{.bucket = 200, .hash = 14}}}},
      {"sync_bucket { bucket: 201 from: 15 to: 16 items { blob: 8 epoch: 9 kind: COPY_KIND_STAGED } holder " + who +
           "}",
       SyncBucket{kNode, 201, BlobId{15}, BlobId{16}, {{BlobId{8}, Epoch{9}, CopyKind::kStaged}}}},
      {"open_session {}", OpenSession{}},
      {"close_session { session: 13 }", CloseSession{ClientSession{13}}},
  };
}

v1::Command Parse(const std::string& text) {
  v1::Command command;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &command)) << text;
  return command;
}

absl::StatusOr<Proposal> Convert(const v1::Command& command) {
  v1::ApplyRequest request;
  *request.add_commands() = command;
  return FromProto(request);
}

// The error of a message of one command, otherwise fine.
absl::Status Refusal(const std::string& text) { return Convert(Parse(text)).status(); }

// Calls `visit` with `whole` without each of its fields, down to those of the messages in `part` of it.
void WithoutEachField(const v1::Command& whole, google::protobuf::Message& part,
                      const std::function<void(const std::string& field)>& visit) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  const google::protobuf::Reflection& reflection = *part.GetReflection();
  reflection.ListFields(part, &fields);
  for (const auto* field : fields) {
    if (field->message_type() != nullptr) {
      WithoutEachField(whole,
                       field->is_repeated() ? *reflection.MutableRepeatedMessage(&part, field, 0)
                                            : *reflection.MutableMessage(&part, field),
                       visit);
      continue;
    }
    const std::unique_ptr<google::protobuf::Message> before(part.New());
    before->CopyFrom(part);
    reflection.ClearField(&part, field);
    visit(field->full_name());
    part.CopyFrom(*before);
  }
}

std::set<std::string> AllFields(const google::protobuf::Descriptor& message) {
  std::set<std::string> names;
  for (int i = 0; i < message.field_count(); ++i) {
    const auto& field = *message.field(i);
    if (field.message_type() == nullptr) {
      names.insert(field.full_name());
    } else {
      names.merge(AllFields(*field.message_type()));
    }
  }
  return names;
}

TEST(CommandsRpc, EachBecomesTheCommandItIs) {
  for (const auto& [text, command] : Pairs()) {
    LARDER_ASSERT_OK_AND_ASSIGN(const Proposal proposal, Convert(Parse(text)));
    EXPECT_THAT(proposal.commands, testing::ElementsAre(command)) << text;
    EXPECT_EQ(proposal.request, std::nullopt);
    EXPECT_EQ(proposal.fence, std::nullopt);
  }
}

TEST(CommandsRpc, EveryFieldOfEveryCommandMatters) {
  std::set<std::string> untried = AllFields(*v1::Command::descriptor());
  for (const auto& [text, command] : Pairs()) {
    v1::Command message = Parse(text);
    WithoutEachField(message, message, [&](const std::string& field) {
      untried.erase(field);
      const auto proposal = Convert(message);
      EXPECT_TRUE(!proposal.ok() || proposal->commands.at(0) != command) << field << " of " << text;
    });
  }
  EXPECT_THAT(untried, testing::IsEmpty());
}

template <size_t... I>
std::set<size_t> KindsWithout(std::index_sequence<I...>, const std::set<uint8_t>& left_out) {
  std::set<size_t> kinds;
  ((left_out.contains(std::variant_alternative_t<I, Command>::kKind)
        ? void()
        : void(kinds.insert(std::variant_alternative_t<I, Command>::kKind))),
   ...);
  return kinds;
}

TEST(CommandsRpc, ClientsMaySendAllButExpiryAndTheRedisProtocols) {
  std::set<size_t> sent;
  for (const auto& [text, command] : Pairs()) {
    const size_t kind = std::visit([](const auto& held) -> size_t { return held.kKind; }, command);
    sent.insert(kind);
    // A field came to a message that was released, and so a kind of its own.
    const size_t number = kind == RegisterWithKey::kKind ? RegisterNode::kKind : kind;
    EXPECT_EQ(number, static_cast<size_t>(Parse(text).command_case())) << "numbers are those of kinds";
  }
  EXPECT_EQ(sent, KindsWithout(std::make_index_sequence<std::variant_size_v<Command>>(),
                               {ExpireDue::kKind, RespSet::kKind, RespDelete::kKind}));
}

TEST(CommandsRpc, WhatIsAbsentStaysAsItIs) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Proposal marks, Convert(Parse(R"(mark_node { node: "n" })")));
  EXPECT_EQ(marks.commands.at(0), Command(MarkNode{"n", std::nullopt, std::nullopt}));
  LARDER_ASSERT_OK_AND_ASSIGN(const Proposal meta, Convert(Parse("set_meta { tags {} }")));
  EXPECT_EQ(meta.commands.at(0), Command(SetMeta{.tags = std::vector<std::string>{}}));
}

TEST(CommandsRpc, KeepsRequestIdFenceAndOrder) {
  v1::ApplyRequest request;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(request_id { session: 13 sequence: 5 low_water: 2 } fence { lease: "l" token: 12 }
         commands { open_session {} } commands { close_session { session: 13 } })",
      &request));
  LARDER_ASSERT_OK_AND_ASSIGN(const Proposal proposal, FromProto(request));
  EXPECT_EQ(proposal.request, (RequestId{ClientSession{13}, 5, 2}));
  EXPECT_EQ(proposal.fence, (Fence{"l", LeaseToken{12}}));
  EXPECT_THAT(proposal.commands,
              testing::ElementsAre(Command(OpenSession{}), Command(CloseSession{ClientSession{13}})));
}

TEST(CommandsRpc, ReadsDigestsOfBothKindsAndNone) {
  const std::string hex(64, 'a');
  LARDER_ASSERT_OK_AND_ASSIGN(
      const Proposal proposal,
      Convert(Parse("seal { kind: COPY_KIND_REPLICA meta { digest: \"sha256:" + hex + "\" } }")));
  const Seal& seal = std::get<Seal>(proposal.commands.at(0));
  EXPECT_EQ(base::FormatDigest(seal.meta.digest), "sha256:" + hex);
  EXPECT_EQ(seal.meta.manifest, base::Digest{});
}

TEST(CommandsRpc, NamesTheFieldThatIsNoValue) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"", "commands[0].command is missing"},
      {"acquire_create { lease_ms: -1 }", "commands[0].acquire_create.lease_ms is negative"},
      {"renew_creates { lease_ms: -1 }", "commands[0].renew_creates.lease_ms is negative"},
      {"begin_upload { ttl_ms: 9223372036855 }", "commands[0].begin_upload.ttl_ms is above"},
      {"grant_lease { ttl_ms: -1 }", "commands[0].grant_lease.ttl_ms"},
      {"renew_lease { ttl_ms: -1 }", "commands[0].renew_lease.ttl_ms"},
      {"set_meta { ttl_ms: -1 }", "commands[0].set_meta.ttl_ms"},
      {"seal { kind: COPY_KIND_REPLICA meta { ttl_ms: -1 } }", "commands[0].seal.meta.ttl_ms"},
      {"seal { }", "commands[0].seal.kind is neither"},
      {"publish { kind: 7 }", "commands[0].publish.kind is neither"},
      {"add_location { }", "commands[0].add_location.kind is neither"},
      {R"(seal { kind: COPY_KIND_REPLICA meta { digest: "md5:00" } })", "commands[0].seal.meta.digest is neither"},
      {R"(publish { kind: COPY_KIND_REPLICA meta { manifest_digest: "crc32c:1" } })",
       "commands[0].publish.meta.manifest_digest"},
  };
  for (const auto& [text, why] : bad) EXPECT_THAT(Refusal(text), IsInvalid("BAD_FIELD", why));
}

TEST(CommandsRpc, NamesTheFieldThatIsTooLong) {
  const auto in_quotes = [](size_t size) { return " \"" + std::string(size, 'x') + "\""; };
  std::string tags;
  for (int i = 0; i < 17; ++i) tags += R"( tags: "t")";
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"register_node { address:" + in_quotes(513) + "}", "register_node.address is longer"},
      {"register_node { zone:" + in_quotes(513) + "}", "register_node.zone"},
      {"register_node { rack:" + in_quotes(513) + "}", "register_node.rack"},
      {"commit_origin { etag:" + in_quotes(513) + "}", "commit_origin.etag"},
      {"grant_lease { holder:" + in_quotes(513) + "}", "grant_lease.holder"},
      {"set_meta { tags { tags:" + in_quotes(129) + "} }", "set_meta.tags.tags is longer"},
      {"set_meta { tags {" + tags + "} }", "set_meta.tags.tags has more than 16"},
      {"seal { kind: COPY_KIND_REPLICA meta {" + tags + "} }", "seal.meta.tags has more"},
      {"seal { kind: COPY_KIND_REPLICA meta { application:" + in_quotes(129) + "} }", "seal.meta.application"},
  };
  for (const auto& [text, why] : bad) EXPECT_THAT(Refusal(text), IsInvalid("BAD_FIELD", why));
  EXPECT_THAT(Refusal("set_meta { tags { tags:" + in_quotes(128) + "} }"), IsOk());
  EXPECT_THAT(Refusal("commit_origin { etag:" + in_quotes(512) + "}"), IsOk());
}

TEST(CommandsRpc, NamesTheCommandOfABatch) {
  v1::ApplyRequest request;
  request.add_commands()->mutable_open_session();
  request.add_commands()->mutable_renew_creates()->set_lease_ms(-1);
  request.add_commands();
  EXPECT_THAT(FromProto(request).status(), IsInvalid("BAD_FIELD", "commands[1].renew_creates.lease_ms is negative"));
}

// An entry of the log that cannot be read ends every member.
TEST(CommandsRpc, WhatIsTakenCanBeReadFromTheLog) {
  std::mt19937 random(1);
  int taken = 0;
  for (const auto& [text, command] : Pairs()) {
    v1::ApplyRequest whole;
    *whole.add_commands() = Parse(text);
    whole.mutable_request_id()->set_session(1);
    whole.mutable_fence()->set_lease("l");
    const std::string bytes = whole.SerializeAsString();
    for (int i = 0; i < 2000; ++i) {
      std::string changed = bytes;
      changed[random() % changed.size()] = static_cast<char>(random());
      v1::ApplyRequest request;
      if (!request.ParseFromString(changed)) continue;
      const auto proposal = FromProto(request);
      if (!proposal.ok()) continue;
      ++taken;
      const Entry entry = {.request = proposal->request, .fence = proposal->fence, .commands = proposal->commands};
      const std::string encoded = EncodeEntry(entry);
      ASSERT_THAT(DecodeEntry(base::AsBytes(encoded)), base::IsOkAndHolds(entry)) << request.ShortDebugString();
    }
  }
  EXPECT_GT(taken, 10'000);
}

TEST(CommandsRpc, ABatchHasAtLeastOneAndAtMost4096) {
  v1::ApplyRequest request;
  EXPECT_THAT(FromProto(request).status(), IsInvalid("BAD_BATCH", "commands has 0"));
  for (uint32_t i = 0; i < kMaxBatch; ++i) request.add_commands()->mutable_open_session();
  EXPECT_THAT(FromProto(request), IsOk());
  request.add_commands()->mutable_open_session();
  EXPECT_THAT(FromProto(request).status(), IsInvalid("BAD_BATCH", "commands has 4097"));
}

}  // namespace
}  // namespace larder::tracker
