#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "larder/backends/file/backend.h"
#include "larder/base/digest.h"
#include "larder/base/file.h"
#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/object/grains.h"
#include "src/header.h"

namespace larder::backends::file {
namespace {

namespace fs = std::filesystem;
using base::AsBytes;
using base::IsOk;
using base::kMiB;
using base::StatusIs;
using object::Backend;
using object::Blob;
using object::BlobView;
using object::kGrain;
using object::ObjectId;
using object::ObjectInfo;
using testing::ElementsAre;
using testing::IsEmpty;

const ObjectId kId{"team-a", "k"};

std::vector<std::byte> Sample(uint64_t size) {
  std::vector<std::byte> bytes(size);
  std::mt19937 random(static_cast<uint32_t>(size));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

std::vector<std::byte> AllOf(const BlobView& view) {
  std::vector<std::byte> bytes(view.size());
  EXPECT_THAT(view.Read(0, bytes), IsOk());
  return bytes;
}

// Soft limit of this process for the life of the object.
class Limit {
 public:
  Limit(int resource, uint64_t soft) : resource_(resource) {
    ::getrlimit(resource_, &before_);
    const rlimit now{.rlim_cur = soft, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(resource_, &now), 0);
  }
  ~Limit() { ::setrlimit(resource_, &before_); }

 private:
  const int resource_;
  rlimit before_{};
};

class FileBackend : public testing::Test {
 protected:
  void SetUp() override { Open(); }

  absl::StatusOr<std::unique_ptr<Backend>> Try(const fs::path& dir) {
    return Make({.path = dir.string(), .max_bytes = max_bytes_, .clock = &clock_});
  }
  // Ends the owner, if there is one, and starts the next; what it found is in found_.
  void Open() {
    found_.clear();
    backend_.reset();
    auto made = Try(dir());
    ASSERT_THAT(made.status(), IsOk());
    backend_ = *std::move(made);
    auto found = backend_->Recover();
    ASSERT_THAT(found.status(), IsOk());
    found_ = *std::move(found);
  }
  absl::StatusOr<std::shared_ptr<const BlobView>> TryStore(ObjectInfo info, base::ByteSpan bytes) {
    LARDER_ASSIGN_OR_RETURN(std::unique_ptr<Blob> blob, backend_->Create(info.id, info.epoch, bytes.size()));
    LARDER_RETURN_IF_ERROR(blob->Append(bytes));
    info.state = object::ObjectState::kSealed;
    info.size = bytes.size();
    if (info.digest.kind == base::Digest::Kind::kNone) info.digest = base::Crc32cDigest(blob->crc32c());
    return backend_->Seal(std::move(blob), info);
  }
  std::shared_ptr<const BlobView> Store(const ObjectId& id, uint64_t epoch, base::ByteSpan bytes) {
    auto view = TryStore({.id = id, .epoch = {epoch}}, bytes);
    EXPECT_THAT(view.status(), IsOk());
    return view.ok() ? *view : nullptr;
  }
  fs::path dir() const { return root_ / "data"; }
  // The files below a folder of the data directory, by their relative paths, sorted.
  std::vector<std::string> Files(const std::string& folder) const {
    std::vector<std::string> files;
    if (!fs::exists(dir() / folder)) return files;
    for (const auto& entry : fs::recursive_directory_iterator(dir() / folder)) {
      if (!entry.is_directory()) files.push_back(entry.path().lexically_relative(dir() / folder).string());
    }
    std::ranges::sort(files);
    return files;
  }
  // The one object's file.
  fs::path OneFile() const {
    const std::vector<std::string> files = Files("objects");
    EXPECT_EQ(files.size(), 1u);
    return files.empty() ? fs::path() : dir() / "objects" / files.front();
  }
  static void Flip(const fs::path& path, uint64_t at, int bit = 0) {
    LARDER_ASSERT_OK_AND_ASSIGN(const base::UniqueFd fd, base::OpenFile(path, O_RDWR));
    std::byte byte{};
    ASSERT_THAT(base::PreadAll(fd.get(), {&byte, 1}, at), IsOk());
    byte ^= std::byte{1} << bit;
    ASSERT_THAT(base::PwriteAll(fd.get(), {&byte, 1}, at), IsOk());
  }
  // After a restart nothing is found, one file was set aside, and its key can be used again.
  void ExpectSetAside() {
    Open();
    EXPECT_THAT(found_, IsEmpty());
    EXPECT_THAT(Files("objects"), IsEmpty());
    EXPECT_EQ(Files("damaged").size(), 1u);
    EXPECT_EQ(backend_->usage().used, 0u);
    EXPECT_NE(Store(kId, 99, AsBytes("again")), nullptr);
    fs::remove_all(dir() / "damaged");
    ASSERT_THAT(backend_->Remove(kId, {99}), IsOk());
  }

  base::TempDir root_;
  base::ManualClock clock_;
  uint64_t max_bytes_ = 0;
  std::unique_ptr<Backend> backend_;
  std::vector<Backend::Recovered> found_;
};

// ---- golden files: made from docs/formats/file-object.md by hand, never from this code

std::string Golden(const std::string& name) {
  auto content = base::ReadFile(fs::path(LARDER_GOLDEN_DIR) / name);
  EXPECT_THAT(content.status(), IsOk());
  return content.value_or("");
}

struct GoldenObject {
  ObjectInfo info;
  std::string bytes;
};

GoldenObject GoldenEmpty() {
  GoldenObject golden{.info = {.id = {"team-a", "empty"}, .epoch = {7}}};
  golden.info.meta.piece_length = 1 << 20;
  return golden;
}

GoldenObject GoldenFull() {
  GoldenObject golden{.info = {.id = {"team-b", "häuser/日本"}, .epoch = {0x0102030405060708}}};
  for (int i = 0; i < 4096; ++i) golden.bytes += "0123456789abcdef";
  golden.bytes += "tail";
  base::Sha256 sha;
  sha.Update(AsBytes(golden.bytes));
  golden.info.digest = base::Sha256DigestOf(sha.Finish());
  golden.info.meta = {.ttl = std::chrono::hours(1),
                      .tags = {"a", "", "0123456789"},
                      .application = "trainer",
                      .wanted_replicas = 3,
                      .piece_length = 4 << 20};
  return golden;
}

TEST_F(FileBackend, WritesTheGoldenFiles) {
  for (const auto& [name, golden] : {std::pair{"empty.bin", GoldenEmpty()}, std::pair{"full.bin", GoldenFull()}}) {
    ASSERT_THAT(TryStore(golden.info, AsBytes(golden.bytes)), IsOk());
    LARDER_ASSERT_OK_AND_ASSIGN(const std::string written, base::ReadFile(OneFile()));
    EXPECT_TRUE(written == Golden(name)) << name << ": the format has changed: a new magic, and docs/formats first";
    ASSERT_THAT(backend_->Remove(golden.info.id, golden.info.epoch), IsOk());
  }
}

TEST_F(FileBackend, ReadsTheGoldenFiles) {
  // Names as docs/formats/file-object.md gives them: SHA-256 of "team-b", NUL, the key.
  for (const auto& [name, golden] : {std::pair{"empty.bin", GoldenEmpty()}, std::pair{"full.bin", GoldenFull()}}) {
    base::Sha256 sha;
    sha.Update(AsBytes(golden.info.id.ns + std::string(1, '\0') + golden.info.id.key));
    const std::string hex = base::FormatDigest(base::Sha256DigestOf(sha.Finish())).substr(7);
    std::ofstream(dir() / "objects" / hex.substr(0, 2) / hex, std::ios::binary) << Golden(name);
    Open();
    ASSERT_EQ(found_.size(), 1u) << name;
    const ObjectInfo& info = found_[0].info;
    EXPECT_EQ(info.id, golden.info.id);
    EXPECT_EQ(info.epoch, golden.info.epoch);
    EXPECT_EQ(info.meta.ttl, golden.info.meta.ttl);
    EXPECT_EQ(info.meta.tags, golden.info.meta.tags);
    EXPECT_EQ(base::AsText(AllOf(*found_[0].view)), golden.bytes);
    if (golden.info.digest.kind == base::Digest::Kind::kSha256) {
      EXPECT_EQ(info.digest, golden.info.digest);
    }
    ASSERT_THAT(backend_->Remove(info.id, info.epoch), IsOk());
  }
}

TEST_F(FileBackend, WritesWhatTheClusterKnowsAnObjectAsLikeTheGoldenFile) {
  const GoldenObject golden = GoldenEmpty();
  ASSERT_THAT(TryStore(golden.info, {}), IsOk());
  ASSERT_THAT(backend_->SetTracked(golden.info.id, golden.info.epoch, {{3}, {5}}), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string written, base::ReadFile(OneFile()));
  EXPECT_TRUE(written == Golden("tracked.bin"));
  Open();
  ASSERT_EQ(found_.size(), 1u);
  EXPECT_EQ(found_[0].info.tracked, (object::TrackedAs{{3}, {5}}));
}

// ---- crash points

TEST_F(FileBackend, WhatWasHalfWrittenIsRemovedAtStart) {
  Store(kId, 1, AsBytes("good"));
  std::ofstream(dir() / "creating" / "5-1") << "half";
  std::ofstream(dir() / "creating" / "whatever");
  Open();
  EXPECT_THAT(Files("creating"), IsEmpty());
  EXPECT_THAT(Files("damaged"), IsEmpty());
  ASSERT_EQ(found_.size(), 1u);
}

TEST_F(FileBackend, AHalfWrittenPinMarkIsRemovedAtStart) {
  Store(kId, 1, AsBytes("good"));
  std::ofstream(OneFile().string() + ".pin.Ab12Cd");
  Open();
  ASSERT_EQ(found_.size(), 1u);
  EXPECT_FALSE(found_[0].info.pinned);
  EXPECT_THAT(Files("damaged"), IsEmpty());
  EXPECT_EQ(Files("objects").size(), 1u);
}

TEST_F(FileBackend, AnOwnerThatDiedWhileCreatingLeavesNothing) {
  // A child stands in for a killed owner: it ends without running a destructor.
  backend_.reset();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto backend = Try(dir());
    if (!backend.ok()) ::_exit(2);
    auto blob = (*backend)->Create(kId, {1}, 100);
    if (!blob.ok() || !(*blob)->Append(AsBytes("half")).ok()) ::_exit(3);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(Files("creating").size(), 1u);
  Open();
  EXPECT_THAT(found_, IsEmpty());
  EXPECT_THAT(Files("creating"), IsEmpty());
  EXPECT_EQ(backend_->usage().used, 0u);
}

TEST_F(FileBackend, LeavesNoFilesBesidesTheObjects) {
  Store(kId, 1, AsBytes("one"));
  Store(kId, 2, AsBytes("two"));
  ASSERT_THAT(backend_->Create(kId, {3}, 10), IsOk());
  EXPECT_EQ(Files("objects").size(), 1u);
  EXPECT_THAT(Files("creating"), IsEmpty());
  ASSERT_THAT(backend_->SetPinned(kId, {2}, true), IsOk());
  EXPECT_EQ(Files("objects").size(), 2u);
  ASSERT_THAT(backend_->Remove(kId, {2}), IsOk());
  EXPECT_THAT(Files("objects"), IsEmpty());
  EXPECT_THAT(Files("damaged"), IsEmpty());
}

TEST_F(FileBackend, NoKeySteersItsPath) {
  for (const std::string key : {"a/b", "..x", "ä", "creating", "x.pin"}) Store({"team-a", key}, 1, {});
  for (const std::string& file : Files("objects")) EXPECT_THAT(file, testing::MatchesRegex("[0-9a-f]{2}/[0-9a-f]{64}"));
  Open();
  EXPECT_EQ(found_.size(), 5u);
}

// ---- damage

TEST_F(FileBackend, ATruncatedOrLengthenedFileIsSetAside) {
  const uint64_t size = 200'000;
  const uint64_t whole = kHeaderSize + size + 4 * 4;
  for (const uint64_t length : {uint64_t{0}, uint64_t{1}, kHeaderSize - 1, kHeaderSize, kHeaderSize + 1,
                                kHeaderSize + size, whole - 4, whole - 1, whole + 1, whole + 4, whole + kMiB}) {
    SCOPED_TRACE(length);
    Store(kId, 1, Sample(size));
    ASSERT_EQ(fs::file_size(OneFile()), whole);
    fs::resize_file(OneFile(), length);
    ExpectSetAside();
  }
}

TEST_F(FileBackend, AFlippedBitInHeaderOrTableIsSetAside) {
  const uint64_t size = 200'000;
  for (const uint64_t at : {uint64_t{0}, uint64_t{8}, uint64_t{12}, uint64_t{20}, uint64_t{61}, kTrackedOffset - 1,
                            kHeaderSize + size, kHeaderSize + size + 15}) {
    SCOPED_TRACE(at);
    Store(kId, 1, Sample(size));
    Flip(OneFile(), at, static_cast<int>(at % 8));
    ExpectSetAside();
  }
}

TEST_F(FileBackend, AFlippedBitInTheBytesFailsReadsOfThatGrainAndOfNoOther) {
  const uint64_t size = 3 * kGrain + 1'000;
  const std::vector<std::byte> bytes = Sample(size);
  Store(kId, 1, bytes);
  for (const uint64_t at : {uint64_t{0}, kGrain - 1, kGrain, 2 * kGrain + 77, 3 * kGrain, size - 1}) {
    SCOPED_TRACE(at);
    Flip(OneFile(), kHeaderSize + at);
    Open();
    ASSERT_EQ(found_.size(), 1u);
    const BlobView& view = *found_[0].view;
    const auto damaged = StatusIs(absl::StatusCode::kDataLoss, "CHECKSUM");
    for (uint64_t grain = 0; grain < 4; ++grain) {
      const uint64_t begin = grain * kGrain;
      const uint64_t length = std::min(kGrain, size - begin);
      for (const auto& [offset, part] :
           {std::pair{begin, length}, {begin, uint64_t{1}}, {begin + length - 1, uint64_t{1}}}) {
        std::vector<std::byte> out(part);
        const absl::Status read = view.Read(offset, out);
        if (grain == at / kGrain) {
          EXPECT_THAT(read, damaged) << grain;
        } else {
          ASSERT_THAT(read, IsOk()) << grain;
          EXPECT_TRUE(std::ranges::equal(out, base::ByteSpan(bytes).subspan(offset, part)));
        }
      }
    }
    std::vector<std::byte> all(size);
    EXPECT_THAT(view.Read(0, all), damaged);
    Flip(OneFile(), kHeaderSize + at);
    EXPECT_TRUE(AllOf(view) == bytes) << "an open view sees what lies there";
  }
}

TEST_F(FileBackend, AFileCutWhileItIsOpenIsDataLoss) {
  const auto view = Store(kId, 1, Sample(200'000));
  fs::resize_file(OneFile(), kHeaderSize + 100'000);
  std::vector<std::byte> out(200'000);
  EXPECT_THAT(view->Read(0, out), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(view->Read(0, base::MutableByteSpan(out).first(kGrain)), IsOk());
}

TEST_F(FileBackend, AFileWhoseNameDoesNotMatchIsSetAside) {
  Store(kId, 1, AsBytes("right"));
  const fs::path right = OneFile();
  const fs::path moved = dir() / "objects" / "00" / std::string(64, '0');
  fs::copy_file(right, moved);
  std::ofstream(dir() / "objects" / "ff" / "junk") << "junk";
  Open();
  ASSERT_EQ(found_.size(), 1u);
  EXPECT_THAT(Files("damaged"), ElementsAre(std::string(64, '0'), "junk"));
  EXPECT_EQ(OneFile(), right);
}

TEST_F(FileBackend, WhatIsNoPlainFileIsSetAsideAndNotFollowed) {
  Store(kId, 1, AsBytes("outside"));
  const fs::path file = OneFile();
  const fs::path outside = root_ / "outside";
  fs::rename(file, outside);
  fs::create_symlink(outside, file);
  fs::create_directory(dir() / "objects" / "01" / "a-folder");
  ASSERT_EQ(::mkfifo((dir() / "objects" / "02" / "a-pipe").c_str(), 0600), 0);
  Open();
  EXPECT_THAT(found_, IsEmpty());
  EXPECT_THAT(Files("objects"), IsEmpty());
  EXPECT_EQ(Files("damaged").size(), 2u) << "the link and the pipe; the folder is there, too";
  EXPECT_TRUE(fs::is_directory(dir() / "damaged" / "a-folder"));
  EXPECT_TRUE(fs::exists(outside));
}

// ---- owners, versions, time

TEST_F(FileBackend, HasOneOwnerAtATime) {
  EXPECT_THAT(Try(dir()), StatusIs(absl::StatusCode::kAlreadyExists, "LOCKED"));
  Store(kId, 1, AsBytes("x"));
  EXPECT_THAT(Try(dir()), StatusIs(absl::StatusCode::kAlreadyExists, "LOCKED"));
  backend_.reset();
  EXPECT_THAT(Try(dir()), IsOk());
}

TEST_F(FileBackend, RefusesADirectoryOfAnotherFormatAndTouchesNothing) {
  Store(kId, 1, AsBytes("x"));
  const std::vector<std::string> before = Files("objects");
  backend_.reset();
  for (const std::string content : {"larder file objects 2\n", "", "larder file objects 1", "\xff\xfe"}) {
    std::ofstream(dir() / "format", std::ios::trunc | std::ios::binary) << content;
    EXPECT_THAT(Try(dir()), StatusIs(absl::StatusCode::kFailedPrecondition, "FORMAT")) << content;
  }
  EXPECT_EQ(Files("objects"), before);
  std::ofstream(dir() / "format", std::ios::trunc) << "larder file objects 1\n";
  EXPECT_THAT(Try(dir()), IsOk());
}

TEST_F(FileBackend, NeedsAnAbsolutePath) {
  for (const char* path : {"", "relative/dir"}) {
    EXPECT_THAT(Make({.path = path, .clock = &clock_}), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_URI"));
  }
}

TEST_F(FileBackend, AnObjectWhoseTtlPassedWhileDownIsRemovedWithItsPin) {
  ObjectInfo info{.id = kId, .epoch = {1}};
  info.meta.ttl = std::chrono::seconds(60);
  ASSERT_THAT(TryStore(info, AsBytes("x")), IsOk());
  ASSERT_THAT(backend_->SetPinned(kId, {1}, true), IsOk());
  clock_.Advance(std::chrono::seconds(59));
  Open();
  ASSERT_EQ(found_.size(), 1u);
  EXPECT_EQ(found_[0].info.ttl_left, std::chrono::seconds(1));
  clock_.Advance(std::chrono::seconds(1));
  Open();
  EXPECT_THAT(found_, IsEmpty());
  EXPECT_THAT(Files("objects"), IsEmpty());
  EXPECT_EQ(backend_->usage().used, 0u);
}

// ---- when the system refuses

TEST_F(FileBackend, ASmallerBudgetAfterARestartRefusesNewBytesAndKeepsTheOldOnes) {
  Store(kId, 1, Sample(kMiB));
  max_bytes_ = kMiB / 2;
  Open();
  ASSERT_EQ(found_.size(), 1u);
  EXPECT_GT(backend_->usage().used, backend_->usage().limit);
  EXPECT_THAT(backend_->Create({"team-a", "new"}, {2}, 0), StatusIs(absl::StatusCode::kResourceExhausted, "DISK_FULL"));
  EXPECT_TRUE(AllOf(*found_[0].view) == Sample(kMiB));
}

TEST_F(FileBackend, ASealThatFailsKeepsTheOldObjectItsPinAndTheBudget) {
  Store(kId, 1, AsBytes("old"));
  ASSERT_THAT(backend_->SetPinned(kId, {1}, true), IsOk());
  const uint64_t used = [&] {
    Open();
    return backend_->usage().used;
  }();
  ObjectInfo too_long{.id = kId, .epoch = {2}};
  too_long.meta.tags.assign(40, std::string(128, 't'));
  EXPECT_THAT(TryStore(too_long, Sample(10'000)), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_META"));
  EXPECT_EQ(backend_->usage().used, used);
  EXPECT_THAT(Files("creating"), IsEmpty());
  Open();
  ASSERT_EQ(found_.size(), 1u);
  EXPECT_EQ(found_[0].info.epoch.value, 1u);
  EXPECT_TRUE(found_[0].info.pinned);
}

TEST_F(FileBackend, ASealWithoutDescriptorsKeepsTheOldObjectAlsoOverARestart) {
  Store(kId, 1, AsBytes("old"));
  ASSERT_THAT(backend_->SetPinned(kId, {1}, true), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend_->Create(kId, {2}, 3));
  ASSERT_THAT(blob->Append(AsBytes("new")), IsOk());
  ObjectInfo info{.id = kId, .epoch = {2}, .size = 3};
  absl::Status sealed;
  {
    const base::UniqueFd next_free(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const Limit none_left(RLIMIT_NOFILE, static_cast<uint64_t>(next_free.get()));
    sealed = backend_->Seal(std::move(blob), info).status();
  }
  // Only now: the sanitizer's look at an object's type takes a descriptor.
  EXPECT_THAT(sealed, StatusIs(absl::StatusCode::kResourceExhausted));
  Open();
  ASSERT_EQ(found_.size(), 1u);
  EXPECT_EQ(base::AsText(AllOf(*found_[0].view)), "old");
  EXPECT_TRUE(found_[0].info.pinned);
}

TEST_F(FileBackend, AWriteThatFailsHalfWayLeavesTheBlobAndTheBudgetAsTheyWere) {
  LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend_->Create(kId, {1}, 0));
  const std::vector<std::byte> first = Sample(100'000);
  ASSERT_THAT(blob->Append(first), IsOk());
  const uint64_t used = backend_->usage().used;
  {
    const auto before = ::signal(SIGXFSZ, SIG_IGN);
    const Limit small(RLIMIT_FSIZE, 2 * kMiB);
    EXPECT_FALSE(blob->Append(Sample(5 * kMiB)).ok());
    ::signal(SIGXFSZ, before);
  }
  EXPECT_EQ(blob->size(), first.size());
  EXPECT_EQ(blob->crc32c(), base::Crc32c(first));
  EXPECT_EQ(backend_->usage().used, used);
  std::vector<std::byte> both = first;
  const std::vector<std::byte> second = Sample(70'000);
  both.insert(both.end(), second.begin(), second.end());
  ASSERT_THAT(blob->Append(second), IsOk());
  const ObjectInfo info{.id = kId, .epoch = {1}, .size = both.size()};
  LARDER_ASSERT_OK_AND_ASSIGN(const auto view, backend_->Seal(std::move(blob), info));
  EXPECT_TRUE(AllOf(*view) == both);
  Open();
  ASSERT_EQ(found_.size(), 1u);
  EXPECT_TRUE(AllOf(*found_[0].view) == both);
}

TEST_F(FileBackend, ADiskThatIsFullIsNamedSo) {
  // A file system of two MiB, in a mount namespace of this test's own.
  const bool root = ::geteuid() == 0;
  const fs::path small = root_ / "small";
  fs::create_directory(small);
  if (::unshare(CLONE_NEWNS | (root ? 0 : CLONE_NEWUSER)) != 0 ||
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("none", small.c_str(), "tmpfs", 0, "size=2m") != 0) {
    GTEST_SKIP() << "mounting a small file system is not allowed here";
  }
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Backend> backend, Try(small));
    ASSERT_THAT(backend->Recover(), IsOk());
    LARDER_ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Blob> blob, backend->Create(kId, {1}, 0));
    const uint64_t used = backend->usage().used;
    EXPECT_THAT(blob->Append(Sample(3 * kMiB)), StatusIs(absl::StatusCode::kResourceExhausted, "DISK_FULL"));
    EXPECT_EQ(blob->size(), 0u);
    EXPECT_EQ(backend->usage().used, used);
  }
  ::umount(small.c_str());
}

}  // namespace
}  // namespace larder::backends::file
