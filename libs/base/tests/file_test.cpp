#include "larder/base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"

namespace larder::base {
namespace {

using absl::StatusCode;

TEST(File, AtomicWriteReplacesTheWholeContentAndLeavesNothingElse) {
  const TempDir dir;
  EXPECT_THAT(WriteFileAtomically(dir / "state", "a long first version"), IsOk());
  EXPECT_THAT(WriteFileAtomically(dir / "state", "second"), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string content, ReadFile(dir / "state"));
  EXPECT_EQ(content, "second");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(File, FailedAtomicWriteLeavesWhatWasThere) {
  const TempDir dir;
  ASSERT_THAT(MakeDirs(dir / "state/inner"), IsOk());  // a directory cannot be replaced by a file
  EXPECT_THAT(WriteFileAtomically(dir / "state", "x"), StatusIs(StatusCode::kInternal, "EISDIR"));
  EXPECT_TRUE(std::filesystem::is_directory(dir / "state/inner"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(File, MakeDirsMakesParentsAndAcceptsWhatIsThere) {
  const TempDir dir;
  EXPECT_THAT(MakeDirs(dir / "a/b/c"), IsOk());
  EXPECT_THAT(MakeDirs(dir / "a/b/c"), IsOk());
  EXPECT_TRUE(std::filesystem::is_directory(dir / "a/b/c"));
}

TEST(File, OpenSaysWhatIsMissing) {
  const TempDir dir;
  const auto opened = OpenFile(dir / "none", O_RDONLY);
  EXPECT_THAT(opened, StatusIs(StatusCode::kNotFound, "ENOENT"));
  EXPECT_THAT(Message(opened.status()), ::testing::HasSubstr((dir / "none").native()));
}

TEST(File, ReadRefusesMoreThanTheLimit) {
  const TempDir dir;
  ASSERT_THAT(WriteFileAtomically(dir / "f", "12345"), IsOk());
  EXPECT_THAT(ReadFile(dir / "f", 5), IsOk());
  EXPECT_THAT(ReadFile(dir / "f", 4), StatusIs(StatusCode::kResourceExhausted, "FILE_TOO_LARGE"));
}

TEST(File, ReadsFilesThatClaimNoSize) {
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string status, ReadFile("/proc/self/status"));
  EXPECT_THAT(status, ::testing::HasSubstr("Pid:"));
}

TEST(File, ReadsBackWhatIsWrittenAtAnOffset) {
  const TempDir dir;
  LARDER_ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenFile(dir / "f", O_RDWR | O_CREAT));
  ASSERT_THAT(PwriteAll(fd.get(), AsBytes("larder"), 3), IsOk());
  std::array<std::byte, 6> out;
  ASSERT_THAT(PreadAll(fd.get(), out, 3), IsOk());
  EXPECT_EQ(AsText(out), "larder");
}

TEST(File, ReadPastTheEndIsShortNotFilled) {
  const TempDir dir;
  LARDER_ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenFile(dir / "f", O_RDWR | O_CREAT));
  ASSERT_THAT(WriteAll(fd.get(), AsBytes("1234")), IsOk());
  std::array<std::byte, 8> out;
  EXPECT_THAT(PreadAll(fd.get(), out, 0), StatusIs(StatusCode::kDataLoss, "SHORT_FILE"));
  LARDER_ASSERT_OK_AND_ASSIGN(const size_t got, PreadSome(fd.get(), out, 1));
  EXPECT_EQ(AsText(ByteSpan(out).first(got)), "234");
}

TEST(File, WriteToAReadOnlyDescriptorFails) {
  const TempDir dir;
  LARDER_ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenFile(dir / "f", O_RDONLY | O_CREAT));
  EXPECT_THAT(WriteAll(fd.get(), AsBytes("x")), StatusIs(StatusCode::kInternal, "EBADF"));
}

TEST(LockFile, IsHeldUntilTheDescriptorCloses) {
  const TempDir dir;
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const UniqueFd held, LockFile(dir / "lock"));
    EXPECT_THAT(LockFile(dir / "lock"), StatusIs(StatusCode::kAlreadyExists, "LOCKED"));
  }
  EXPECT_THAT(LockFile(dir / "lock"), IsOk());
}

TEST(LockFile, IsNotKeptFromItsOwnerByWhoCanOnlyRead) {
  TempDir dir;
  { LARDER_ASSERT_OK_AND_ASSIGN(const UniqueFd before, LockFile(dir / "lock")); }
  LARDER_ASSERT_OK_AND_ASSIGN(const UniqueFd reader, OpenFile(dir / "lock", O_RDONLY));
  struct flock lock = {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  ASSERT_EQ(::fcntl(reader.get(), F_OFD_SETLK, &lock), 0);
  LARDER_ASSERT_OK_AND_ASSIGN(const UniqueFd held, LockFile(dir / "lock"));
  EXPECT_THAT(LockFile(dir / "lock"), StatusIs(StatusCode::kAlreadyExists, "LOCKED"));
  const auto files = std::filesystem::directory_iterator(dir.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "nothing else is left";
}

TEST(TempDir, IsGoneWithAllItHolds) {
  std::filesystem::path path;
  {
    const TempDir dir;
    path = dir.path();
    ASSERT_THAT(MakeDirs(dir / "a/b"), IsOk());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace larder::base
