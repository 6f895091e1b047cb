#include "core/pod_directory.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "larder/base/clock.h"
#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"

namespace larder::cache_agent {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kUid = "8dbc5577-d0e2-4706-8787-57d52c03ddf2";
const std::string kHash = "12345678901234567890123456789012";

std::string PodsOf(const std::string& ns) { return "pods:\n  " + kUid + ": {namespace: " + ns + ", name: p}\n"; }

class FilePods : public testing::Test {
 protected:
  void Write(const std::string& text) { ASSERT_THAT(base::WriteFileAtomically(path_, text), IsOk()); }
  absl::StatusOr<std::unique_ptr<FilePodDirectory>> Open() { return FilePodDirectory::Open(path_, log_); }
  absl::StatusOr<std::unique_ptr<FilePodDirectory>> OpenOn(const std::string& text) {
    Write(text);
    return Open();
  }

  base::TempDir dir_;
  const std::string path_ = dir_ / "pods.yaml";
  const base::SystemClock clock_;
  std::vector<std::string> lines_;
  observe::Logger log_{{.output = [this](std::string_view line) { lines_.emplace_back(line); }}, clock_};
};

TEST_F(FilePods, AreThoseOfTheFile) {
  LARDER_ASSERT_OK_AND_ASSIGN(const auto pods, OpenOn("pods:\n"
                                                      "  " +
                                                      kUid +
                                                      ":\n"
                                                      "    namespace: team-a\n"
                                                      "    name: trainer-0\n"
                                                      "    service_account: trainer\n"
                                                      "  " +
                                                      kHash + ": {namespace: kube-system, name: etcd}\n"));
  EXPECT_EQ(pods->Find(kUid), (Pod{.ns = "team-a", .name = "trainer-0", .service_account = "trainer"}));
  EXPECT_EQ(pods->Find(kHash), (Pod{.ns = "kube-system", .name = "etcd", .service_account = "default"}));
  EXPECT_EQ(pods->Find("d3a1c9f0-52c4-4b0e-9f7e-0c1f6a1b2c3d"), std::nullopt);
}

TEST_F(FilePods, MayBeJson) {
  LARDER_ASSERT_OK_AND_ASSIGN(
      const auto pods,
      OpenOn(R"({"pods": {")" + kUid + R"(": {"namespace": "team-a", "name": "p", "service_account": "s"}}})"));
  EXPECT_EQ(pods->Find(kUid), (Pod{.ns = "team-a", .name = "p", .service_account = "s"}));
}

TEST_F(FilePods, MayBeNone) {
  for (const char* text : {"", "pods:\n", "pods: {}\n"}) {
    const auto pods = OpenOn(text);
    ASSERT_THAT(pods, IsOk()) << text;
    EXPECT_EQ((*pods)->Find(kUid), std::nullopt);
  }
}

TEST_F(FilePods, AreRefusedWithFileAndKey) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"pods:\n  trainer-0: {namespace: a, name: p}\n", "'trainer-0' is not a pod's uid"},
      {"pods:\n  " + kUid + ": {namespace: Team_A, name: p}\n", "namespace"},
      {"pods:\n  " + kUid + ": {name: p}\n", "pods." + kUid + ": namespace and name must be set"},
      {"pods:\n  " + kUid + ": {namespace: a}\n", "pods." + kUid + ": namespace and name must be set"},
      {"pods:\n  " + kUid + ": {namespace: a, nam: p}\n", "name"},
      {"pods:\n  " + kUid + ": {namespace: a, name: p}\n  " + kUid + ": {namespace: b, name: p}\n", "given twice"},
      {"pods: [\n", ":2:"},
      {"pod:\n", "pods"},
  };
  for (const auto& [text, said] : bad) {
    const absl::Status refused = OpenOn(text).status();
    EXPECT_THAT(refused, StatusIs(StatusCode::kInvalidArgument)) << text;
    EXPECT_THAT(base::Message(refused), HasSubstr(said));
    EXPECT_THAT(base::Message(refused), HasSubstr(path_));
  }
}

TEST_F(FilePods, WithoutAFileAreRefused) {
  const absl::Status refused = Open().status();
  EXPECT_THAT(refused, StatusIs(StatusCode::kInvalidArgument, "CONFIG_UNREADABLE"));
  EXPECT_THAT(base::Message(refused), HasSubstr("pods_file " + path_));
}

TEST_F(FilePods, AreReadAgainWhenTheFileIsReplacedOrWritten) {
  LARDER_ASSERT_OK_AND_ASSIGN(const auto pods, OpenOn(PodsOf("before")));
  Write(PodsOf("after"));
  pods->Refresh();
  EXPECT_EQ(pods->Find(kUid)->ns, "after");
  std::ofstream(path_) << PodsOf("in-place");
  pods->Refresh();
  EXPECT_EQ(pods->Find(kUid)->ns, "in-place");
  Write("pods:\n");
  pods->Refresh();
  EXPECT_EQ(pods->Find(kUid), std::nullopt);
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(FilePods, AreNotReadAgainWhenNothingChanged) {
  LARDER_ASSERT_OK_AND_ASSIGN(const auto pods, OpenOn(PodsOf("team-a")));
  const auto written = std::filesystem::last_write_time(path_);
  std::ofstream(path_) << PodsOf("team-b");
  std::filesystem::last_write_time(path_, written);
  pods->Refresh();
  EXPECT_EQ(pods->Find(kUid)->ns, "team-a") << "same file, size and time: it is not opened";
}

TEST_F(FilePods, StayWhileTheFileIsBrokenAndThatIsLoggedOnce) {
  LARDER_ASSERT_OK_AND_ASSIGN(const auto pods, OpenOn(PodsOf("team-a")));
  Write("pods: [\n");
  for (int i = 0; i < 3; ++i) pods->Refresh();
  EXPECT_EQ(pods->Find(kUid)->ns, "team-a");
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("pods file refused")));
  Write("pods: {x: 1}\n");
  pods->Refresh();
  EXPECT_THAT(lines_, testing::SizeIs(2)) << "another mistake";
  Write(PodsOf("team-b"));
  for (int i = 0; i < 3; ++i) pods->Refresh();
  EXPECT_EQ(pods->Find(kUid)->ns, "team-b");
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("refused"), HasSubstr("refused"), HasSubstr("read again")));
}

TEST_F(FilePods, StayWhileTheFileIsGone) {
  LARDER_ASSERT_OK_AND_ASSIGN(const auto pods, OpenOn(PodsOf("team-a")));
  const std::string aside = dir_ / "aside.yaml";
  std::filesystem::rename(path_, aside);
  for (int i = 0; i < 3; ++i) pods->Refresh();
  EXPECT_EQ(pods->Find(kUid)->ns, "team-a");
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("pods file refused")));
  std::filesystem::rename(aside, path_);
  pods->Refresh();
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("refused"), HasSubstr("read again")));
}

}  // namespace
}  // namespace larder::cache_agent
