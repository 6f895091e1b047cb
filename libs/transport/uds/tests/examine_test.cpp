#include "src/examine.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "larder/arena/arena.h"
#include "larder/backends/memory/backend.h"
#include "larder/base/executor.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/peers/single_peer.h"
#include "larder/transport/uds/uds.h"
#include "tests/answering_agent.h"

namespace larder::transport::uds {
namespace {

using absl::StatusCode;
using base::IsOk;
using object::Examination;
using object::Finding;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;

auto Named(const std::string& name) { return Field("name", &Finding::name, name); }
auto Is(Finding::Verdict verdict) { return Field("verdict", &Finding::verdict, verdict); }
auto Fails(const std::string& name, StatusCode code, const std::string& topic) {
  return AllOf(Named(name), Is(Finding::Verdict::kFailure), Field(&Finding::code, code), Field(&Finding::topic, topic),
               Field(&Finding::remedy, testing::Not("")));
}

class ExamineTest : public testing::Test {
 protected:
  Examination ExamineDir(object::ExamineOptions options = {}) { return Examine(dir_.path(), options); }
  // The last finding: where it came to an end.
  static Finding End(const Examination& examination) {
    EXPECT_FALSE(examination.findings.empty());
    return examination.findings.empty() ? Finding() : examination.findings.back();
  }
  std::string SocketPath() { return dir_ / std::string(kSocketName); }
  // Root may enter and write everything.
  static Finding AsNobody(const std::function<Finding()>& look) {
    const uid_t user = ::geteuid();
    EXPECT_EQ(user == 0 ? ::seteuid(65534) : 0, 0);
    Finding found = look();
    EXPECT_EQ(user == 0 ? ::seteuid(user) : 0, 0);
    return found;
  }
  void WriteFile(const std::string& path) { std::ofstream(path) << "x"; }

  base::TempDir dir_;
};

TEST_F(ExamineTest, AnEndpointWithoutAnAbsoluteDirectoryIsBadInput) {
  EXPECT_THAT(End(Examine("run/larder", {})), Fails("directory", StatusCode::kInvalidArgument, "#no-agent"));
}

TEST_F(ExamineTest, ADirectoryThatIsNotThereMeansNoAgent) {
  EXPECT_THAT(End(Examine(dir_ / "none", {})), Fails("directory", StatusCode::kUnavailable, "#no-agent"));
}

TEST_F(ExamineTest, AFileInPlaceOfTheDirectoryIsBadInput) {
  WriteFile(dir_ / "file");
  EXPECT_THAT(End(Examine(dir_ / "file", {})), Fails("directory", StatusCode::kInvalidArgument, "#no-agent"));
}

TEST_F(ExamineTest, ADirectoryThatMayNotBeEnteredIsAMatterOfPermission) {
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0600), 0);
  const Finding found = AsNobody([&] { return End(ExamineDir()); });
  ::chmod(dir_.path().c_str(), 0700);
  EXPECT_THAT(found, Fails("directory", StatusCode::kPermissionDenied, "#permissions"));
}

TEST_F(ExamineTest, WithoutASocketThereIsNoAgent) {
  const Examination found = ExamineDir();
  EXPECT_THAT(found.findings,
              ElementsAre(Named("directory"), Fails("data socket", StatusCode::kUnavailable, "#no-agent")));
}

TEST_F(ExamineTest, AFileInPlaceOfTheSocketIsNamed) {
  WriteFile(SocketPath());
  EXPECT_THAT(End(ExamineDir()), Fails("data socket", StatusCode::kInvalidArgument, "#no-agent"));
}

TEST_F(ExamineTest, ASocketThatNobodyListensAtIsStale) {
  { const base::UniqueFd gone = *ListenAt(SocketPath(), 0600); }
  EXPECT_THAT(End(ExamineDir()), Fails("data socket", StatusCode::kUnavailable, "#stale-sockets"));
}

TEST_F(ExamineTest, ASocketThatMayNotBeWrittenIsAMatterOfPermission) {
  const base::UniqueFd socket = *ListenAt(SocketPath(), 0400);
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  const Finding found = AsNobody([&] { return End(ExamineDir()); });
  EXPECT_THAT(found, Fails("data socket", StatusCode::kPermissionDenied, "#permissions"));
}

TEST_F(ExamineTest, APathThatIsTooLongForASocketIsNamed) {
  std::filesystem::path deep = dir_ / std::string(60, 'a') / std::string(60, 'b');
  std::filesystem::create_directories(deep);
  const int here = ::open(".", O_PATH | O_CLOEXEC);
  ASSERT_EQ(::chdir(deep.c_str()), 0);
  const base::UniqueFd socket = *ListenAt(std::string(kSocketName), 0600);
  ASSERT_EQ(::fchdir(here), 0);
  ::close(here);
  EXPECT_THAT(End(Examine(deep, {})), Fails("data socket", StatusCode::kInvalidArgument, "#long-paths"));
}

TEST_F(ExamineTest, AnAgentThatSaysNothingIsUnavailable) {
  const base::UniqueFd silent = *ListenAt(SocketPath(), 0600);
  const Finding end = End(ExamineDir({.patience = std::chrono::milliseconds(20)}));
  EXPECT_THAT(end, Fails("session", StatusCode::kUnavailable, "#no-answer"));
  EXPECT_THAT(end.what, HasSubstr("20ms"));
}

TEST_F(ExamineTest, AnAgentOfAnotherProtocolIsAMatterOfVersions) {
  const AnsweringAgent agent(dir_.path(), [](const Header&, base::ByteSpan) {
    base::ByteWriter out;
    PutError(out, BadRecord("version 1 is not known, 9 is"));
    return AnsweringAgent::Answer{.payload = AnsweringAgent::Bytes(out), .code = 3};
  });
  EXPECT_THAT(End(ExamineDir()), Fails("session", StatusCode::kUnavailable, "#versions"));
}

// An agent with one object, of which `Describe` says how it is given.
class ExamineScripted : public ExamineTest {
 protected:
  static constexpr uint64_t kSize = 100'000;
  AnsweringAgent::Answer Answered(const Header& header, base::ByteSpan record) {
    base::ByteReader in(record.subspan(kHeaderSize));
    base::ByteWriter out;
    const object::ObjectInfo info{
        .id = {"ns", "k"}, .state = object::ObjectState::kSealed, .epoch = {1}, .size = kSize, .tier = "hot"};
    if (header.op == Op::kHello) out = AnsweringAgent::Welcome();
    if (header.op == Op::kList) {
      out.U8(0).U16(1);
      PutObject(out, info);
    }
    if (header.op == Op::kRead) out.Raw(std::vector<std::byte>(in.U64() == 5 && in.U64() < kSize ? in.U32() : 0));
    if (header.op != Op::kGet) return {.payload = AnsweringAgent::Bytes(out)};
    out.U64(5);
    PutObject(out, info);
    if (in.U32() == kGetNoDescriptors) {
      return {.payload = AnsweringAgent::Bytes(out.U8(static_cast<uint8_t>(Form::kStream)))};
    }
    out.U8(static_cast<uint8_t>(Form::kShared)).U32(1);
    PutExtents(out, {{.segment = 7, .has_descriptor = true, .segment_size = kSize, .length = kSize}});
    AnsweringAgent::Answer answer{.payload = AnsweringAgent::Bytes(out)};
    if (!gives_descriptors_) return answer;
    answer.fds.emplace_back(static_cast<int>(::memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING)));
    EXPECT_EQ(::ftruncate(answer.fds.back().get(), kSize), 0);
    return answer;
  }

  bool gives_descriptors_ = false;
  const AnsweringAgent agent_{dir_.path(),
                              [this](const Header& header, base::ByteSpan record) { return Answered(header, record); }};
};

TEST_F(ExamineScripted, DescriptorsThatDoNotArriveAreAWarning) {
  const Examination found = ExamineDir({.read_only = true});
  EXPECT_EQ(found.version, "1.2.3");
  EXPECT_THAT(End(found),
              AllOf(Named("large object"), Is(Finding::Verdict::kWarning), Field(&Finding::topic, "#shared-memory")));
}

TEST_F(ExamineScripted, MemoryThatIsNotSealedIsAFailure) {
  gives_descriptors_ = true;
  EXPECT_THAT(End(ExamineDir({.read_only = true})), Fails("large object", StatusCode::kDataLoss, "#shared-memory"));
}

class ExamineServing : public ExamineTest {
 protected:
  void SetUp() override {
    listener_ = *Listen(
        {.address = dir_.path(),
         .peer = &peer_,
         .clock = &clock_,
         .executor = &pool_,
         .arena = arena_.get(),
         .node = "node-7",
         .version = "9.8.7",
         .identify = [](const object::CallerProcess&, const std::string& ns) -> absl::StatusOr<object::SessionOwner> {
           if (ns == "theirs") {
             return base::Error(StatusCode::kPermissionDenied, "FOREIGN_NAMESPACE", "not yours");
           }
           if (ns == "stranger") {
             return base::Error(StatusCode::kPermissionDenied, "UNKNOWN_POD", "there is no such pod");
           }
           return object::SessionOwner{.ns = ns.empty() ? "default" : ns};
         }});
    ASSERT_THAT(listener_->Start(), IsOk());
  }
  void TearDown() override {
    listener_->Stop(base::kNoDeadline);
    pool_.Stop();
  }
  std::unique_ptr<object::Channel> Channel() { return *Dial(dir_.path(), {}); }

  base::SystemClock clock_;
  base::ThreadPool pool_{"test", 1};
  std::unique_ptr<arena::Arena> arena_ = *arena::Arena::Create({.size = 16 * base::kMiB});
  std::unique_ptr<object::Backend> backend_ = *backends::memory::Make({.clock = &clock_, .arena = arena_.get()});
  peers::SinglePeer peer_{*backend_, object::PeerSettings{.clock = &clock_}};
  std::unique_ptr<object::Listener> listener_;
};

TEST_F(ExamineServing, AllIsWellAndNothingIsLeftBehind) {
  const Examination found = ExamineDir({.ns = "team-a"});
  EXPECT_THAT(found.findings, ElementsAre(Named("directory"), Named("data socket"), Named("kernel"), Named("session"),
                                          Named("write window"), Named("small object"), Named("large object")));
  EXPECT_THAT(found.findings, Each(Is(Finding::Verdict::kOk)));
  EXPECT_THAT(End(found).what, HasSubstr("mapping"));
  EXPECT_EQ(found.ns, "team-a");
  EXPECT_EQ(found.node, "node-7");
  EXPECT_EQ(found.version, "9.8.7");
  EXPECT_EQ(peer_.usage().objects, 0u);
  listener_->Stop(base::kNoDeadline);  // by then it has seen the connection's end
  EXPECT_EQ(arena_->usage().windows, 0u);
}

TEST_F(ExamineServing, ReadOnlyStoresNothing) {
  const Examination found = ExamineDir({.read_only = true});
  EXPECT_THAT(found.findings, Each(Is(Finding::Verdict::kOk)));
  EXPECT_THAT(End(found).what, HasSubstr("none is there"));
  EXPECT_EQ(arena_->usage().live, 0u);
}

TEST_F(ExamineServing, ReadOnlyReadsAnObjectThatIsThere) {
  ASSERT_THAT(Channel()->Put({.key = "k"}, std::vector<std::byte>(200'000, std::byte{1}), base::kNoDeadline), IsOk());
  EXPECT_THAT(End(ExamineDir({.read_only = true})),
              AllOf(Named("large object"), Is(Finding::Verdict::kOk), Field(&Finding::what, HasSubstr("mapping"))));
}

TEST_F(ExamineServing, AForeignNamespaceIsRefused) {
  EXPECT_THAT(End(ExamineDir({.ns = "theirs"})), Fails("session", StatusCode::kPermissionDenied, "#namespaces"));
}

TEST_F(ExamineServing, ACallerThatTheAgentDoesNotKnowIsNotToldToChooseANamespace) {
  EXPECT_THAT(End(ExamineDir({.ns = "stranger"})), Fails("session", StatusCode::kPermissionDenied, "#callers"));
}

TEST_F(ExamineServing, AFullArenaFailsWithItsRemedy) {
  const auto channel = Channel();
  const std::vector<std::byte> bytes(base::kMiB);
  for (int i = 0;; ++i) {
    if (!channel->Put({.key = std::to_string(i)}, bytes, base::kNoDeadline).ok()) break;
  }
  EXPECT_THAT(End(ExamineDir()), Fails("large object", StatusCode::kResourceExhausted, "#full-arena"));
}

}  // namespace
}  // namespace larder::transport::uds
