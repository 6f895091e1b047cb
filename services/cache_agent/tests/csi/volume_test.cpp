#include "csi/volume.h"

#include <gmock/gmock.h>

#include "csi/mounter_wire.h"
#include "csi/record.h"
#include "larder/base/bytes.h"
#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::cache_agent::csi {
namespace {

using base::IsOkAndHolds;
using base::StatusIs;
using testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr char kKubelet[] = "/var/lib/kubelet";
const Place kPlace = {.pod_uid = "8dbc5577-d0e2-4706-8787-57d52c03ddf2", .name = "larder"};

PublishRequest Request() {
  return {.volume_id = VolumeIdOf(kPlace),
          .target_path = TargetPath(kKubelet, kPlace),
          .is_mount = true,
          .context = {{"csi.storage.k8s.io/pod.name", "trainer-0"},
                      {"csi.storage.k8s.io/pod.namespace", "team-a"},
                      {"csi.storage.k8s.io/pod.uid", kPlace.pod_uid},
                      {"csi.storage.k8s.io/serviceAccount.name", "trainer"},
                      {"csi.storage.k8s.io/ephemeral", "true"}}};
}

TEST(VolumeOf, IsWhatTheKubeletSays) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Volume volume, VolumeOf(Request(), kKubelet));
  EXPECT_EQ(volume.id, Request().volume_id);
  EXPECT_EQ(volume.place, kPlace);
  EXPECT_EQ(volume.ns, "team-a");
  EXPECT_EQ(volume.pod, "trainer-0");
  EXPECT_EQ(volume.service_account, "trainer");
  EXPECT_FALSE(volume.read_only);
}

TEST(VolumeOf, TheIdIsTheKubelets) {  // printf %s%s UID NAME | sha256sum
  EXPECT_EQ(VolumeIdOf(kPlace), "csi-691c90ecbedb5a6091bbcce7b47d587f2306dac073c048263020ebd11b676a78");
}

TEST(VolumeOf, NeedsEachOfTheKubeletsKeys) {
  for (const auto& [key, value] : Request().context) {
    PublishRequest request = Request();
    request.context.erase(key);
    const absl::Status refused = VolumeOf(request, kKubelet).status();
    EXPECT_THAT(refused, StatusIs(kInvalid, "NO_POD_INFO"));
    EXPECT_THAT(base::Message(refused), HasSubstr(key));
    for (const char* bad : {"", "../x", "a/b", ".", "A", "a\nb"}) {
      request.context[key] = bad;
      EXPECT_THAT(VolumeOf(request, kKubelet), StatusIs(kInvalid, "NO_POD_INFO")) << key << "=" << bad;
    }
  }
}

TEST(VolumeOf, RefusesAnotherPodsPlaceOrId) {
  PublishRequest request = Request();
  request.context["csi.storage.k8s.io/pod.uid"] = "00000000-d0e2-4706-8787-57d52c03ddf2";
  EXPECT_THAT(VolumeOf(request, kKubelet), StatusIs(kInvalid, "BAD_TARGET"));
  request = Request();
  request.volume_id.back() = request.volume_id.back() == '0' ? '1' : '0';
  EXPECT_THAT(VolumeOf(request, kKubelet), StatusIs(kInvalid, "BAD_TARGET"));
  request = Request();
  request.target_path = TargetPath(kKubelet, {.pod_uid = kPlace.pod_uid, .name = "other"});
  EXPECT_THAT(VolumeOf(request, kKubelet), StatusIs(kInvalid, "BAD_TARGET"));
}

TEST(VolumeOf, RefusesEveryAttributeButOne) {
  PublishRequest request = Request();
  request.context["access"] = "read";
  LARDER_ASSERT_OK_AND_ASSIGN(const Volume volume, VolumeOf(request, kKubelet));
  EXPECT_TRUE(volume.read_only);
  request.context["access"] = "write";
  EXPECT_THAT(VolumeOf(request, kKubelet), StatusIs(kInvalid, "BAD_ATTRIBUTE"));
  request = Request();
  request.context["namespace"] = "team-b";
  const absl::Status refused = VolumeOf(request, kKubelet).status();
  EXPECT_THAT(refused, StatusIs(kInvalid, "BAD_ATTRIBUTE"));
  EXPECT_THAT(base::Message(refused), HasSubstr("namespace"));
}

TEST(VolumeOf, IsOfAPodsOwnSpecAndADirectory) {
  PublishRequest request = Request();
  request.context["csi.storage.k8s.io/ephemeral"] = "false";
  EXPECT_THAT(VolumeOf(request, kKubelet), StatusIs(kInvalid, "NOT_EPHEMERAL"));
  request = Request();
  request.is_mount = false;
  EXPECT_THAT(VolumeOf(request, kKubelet), StatusIs(kInvalid, "BLOCK_VOLUME"));
}

TEST(PlaceOf, TakesTheKubeletsPathAndNoOther) {
  EXPECT_THAT(PlaceOf(TargetPath(kKubelet, kPlace), kKubelet), IsOkAndHolds(kPlace));
  const std::string pod = std::string(kKubelet) + "/pods/" + kPlace.pod_uid;
  for (const std::string& path :
       {std::string(), std::string("/"), pod + "/volumes/kubernetes.io~csi//mount",
        pod + "/volumes/kubernetes.io~csi/../mount", pod + "/volumes/kubernetes.io~csi/a/b/mount",
        pod + "/volumes/kubernetes.io~csi/mount", pod + "/volumes/kubernetes.io~csi/a/mount/",
        pod + "/volumes/kubernetes.io~empty-dir/a/mount", "/elsewhere" + TargetPath(kKubelet, kPlace),
        std::string(kKubelet) + "/pods/../volumes/kubernetes.io~csi/a/mount",
        pod + "/x/volumes/kubernetes.io~csi/a/mount"}) {
    EXPECT_THAT(PlaceOf(path, kKubelet), StatusIs(kInvalid, "BAD_TARGET")) << path;
  }
}

TEST(Record, IsReadAsItWasWritten) {
  Volume volume = *VolumeOf(Request(), kKubelet);
  EXPECT_THAT(DecodeRecord(EncodeRecord(volume)), IsOkAndHolds(volume));
  volume.read_only = true;
  EXPECT_THAT(DecodeRecord(EncodeRecord(volume)), IsOkAndHolds(volume));
}

TEST(Record, ThatIsNotWholeOrNotAsWrittenIsRefused) {
  const std::string text = EncodeRecord(*VolumeOf(Request(), kKubelet));
  for (size_t i = 0; i < text.size(); ++i) {
    EXPECT_THAT(DecodeRecord(text.substr(0, i)), StatusIs(absl::StatusCode::kDataLoss, "BAD_RECORD")) << i;
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_THAT(DecodeRecord(changed), StatusIs(absl::StatusCode::kDataLoss, "BAD_RECORD")) << i;
  }
  EXPECT_THAT(DecodeRecord(text + "x"), StatusIs(absl::StatusCode::kDataLoss, "BAD_RECORD"));
}

// Lines with the checksum that is right for them.
std::string Signed(const std::string& lines) {
  return lines + fmt::format("crc32c {:08x}\n", base::Crc32c(base::AsBytes(lines)));
}

TEST(Record, ThatIsWholeButOfAnotherVolumeOrHasMoreInItIsRefused) {
  const Volume volume = *VolumeOf(Request(), kKubelet);
  const std::string text = EncodeRecord(volume);
  const std::string lines = text.substr(0, text.rfind("crc32c"));
  ASSERT_THAT(DecodeRecord(Signed(lines)), IsOkAndHolds(volume));
  EXPECT_THAT(DecodeRecord(Signed(lines + "more 1\n")), StatusIs(absl::StatusCode::kDataLoss, "BAD_RECORD"));
  Volume other = volume;
  other.place.name = "other";
  EXPECT_THAT(DecodeRecord(EncodeRecord(other)), StatusIs(absl::StatusCode::kDataLoss, "BAD_RECORD"));
}

TEST(MounterWire, CarriesRequestsAndReplies) {
  for (const MounterOp op : {MounterOp::kMount, MounterOp::kUnmount, MounterOp::kLook}) {
    const MounterRequest request{.op = op, .place = kPlace};
    EXPECT_THAT(DecodeRequest(EncodeRequest(request)), IsOkAndHolds(request));
  }
  for (const MounterOp op : {MounterOp::kRegister, MounterOp::kUnregister}) {
    const MounterRequest request{.op = op, .place = {}};
    EXPECT_THAT(DecodeRequest(EncodeRequest(request)), IsOkAndHolds(request));
  }
  const MounterReply reply{.error = 28, .state = MountState::kOther};
  EXPECT_THAT(DecodeReply(EncodeReply(reply)), IsOkAndHolds(reply));
}

TEST(MounterWire, TakesNamesAndNothingThatCouldLeadElsewhere) {
  for (const Place& place :
       {Place{}, Place{.pod_uid = "..", .name = "larder"}, Place{.pod_uid = kPlace.pod_uid, .name = ".."},
        Place{.pod_uid = kPlace.pod_uid, .name = "a/b"}, Place{.pod_uid = kPlace.pod_uid, .name = ""},
        Place{.pod_uid = kPlace.pod_uid, .name = std::string(64, 'a')},
        Place{.pod_uid = kPlace.pod_uid + "/..", .name = "a"}}) {
    EXPECT_THAT(DecodeRequest(EncodeRequest({.op = MounterOp::kMount, .place = place})),
                StatusIs(kInvalid, "BAD_RECORD"))
        << place.pod_uid << " " << place.name;
  }
  EXPECT_THAT(DecodeRequest(EncodeRequest({.op = MounterOp::kRegister, .place = kPlace})),
              StatusIs(kInvalid, "BAD_RECORD"));
  MounterRequestRecord record = EncodeRequest({.op = MounterOp::kMount, .place = kPlace});
  record[4] = std::byte{99};
  EXPECT_THAT(DecodeRequest(record), StatusIs(kInvalid, "BAD_RECORD"));
}

}  // namespace
}  // namespace larder::cache_agent::csi
