#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/destination.h"
#include "core/interrupts.h"
#include "core/source.h"
#include "core/tree.h"
#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"

namespace larder::cli {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;

class Files : public ::testing::Test {
 protected:
  std::string Make(const std::string& name, const std::string& content) {
    const fs::path path = dir_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
    return path.native();
  }
  absl::Status WriteTo(const std::string& relative, const std::string& content, bool overwrite = false) {
    LARDER_ASSIGN_OR_RETURN(const Directory root, Directory::Open(dir_.path().native()));
    LARDER_ASSIGN_OR_RETURN(Directory parent, root.MakeParentsOf(relative));
    LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<Destination> file,
                            Destination::Create(std::move(parent), relative.substr(relative.rfind('/') + 1),
                                                content.size(), overwrite, interrupts_));
    LARDER_RETURN_IF_ERROR(file->Write(base::AsBytes(content)));
    EXPECT_NE(Read(relative), content) << "visible before it is complete";
    return file->Publish();
  }
  std::string Read(const std::string& name) { return base::ReadFile(dir_ / name).value_or("(none)"); }
  std::vector<std::string> Names(const fs::path& dir) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir)) names.push_back(entry.path().filename().native());
    std::sort(names.begin(), names.end());
    return names;
  }

  Interrupts interrupts_;
  base::TempDir dir_;
};

using DestinationTest = Files;

TEST_F(DestinationTest, AppearsWholeWithItsFolders) {
  EXPECT_THAT(WriteTo("a/b/c", "hello"), IsOk());
  EXPECT_EQ(Read("a/b/c"), "hello");
  EXPECT_THAT(Names(dir_ / "a/b"), ElementsAre("c"));
}

TEST_F(DestinationTest, LeavesWhatExistsUnlessToldToReplaceIt) {
  Make("f", "old");
  EXPECT_THAT(WriteTo("f", "new"), StatusIs(StatusCode::kAlreadyExists, "FILE_EXISTS"));
  EXPECT_EQ(Read("f"), "old");
  EXPECT_THAT(WriteTo("f", "new", /*overwrite=*/true), IsOk());
  EXPECT_EQ(Read("f"), "new");
  EXPECT_THAT(Names(dir_.path()), ElementsAre("f"));
}

TEST_F(DestinationTest, DoesNotReplaceAFileThatCameMeanwhile) {
  LARDER_ASSERT_OK_AND_ASSIGN(Directory root, Directory::Open(dir_.path().native()));
  LARDER_ASSERT_OK_AND_ASSIGN(const auto file, Destination::Create(std::move(root), "f", 1, false, interrupts_));
  Make("f", "first");
  EXPECT_THAT(file->Publish(), StatusIs(StatusCode::kAlreadyExists, "FILE_EXISTS"));
  EXPECT_EQ(Read("f"), "first");
}

TEST_F(DestinationTest, LeavesNothingIfItIsDropped) {
  LARDER_ASSERT_OK_AND_ASSIGN(Directory root, Directory::Open(dir_.path().native()));
  LARDER_ASSERT_OK_AND_ASSIGN(auto file, Destination::Create(std::move(root), "f", 1 << 20, false, interrupts_));
  file.reset();
  EXPECT_THAT(Names(dir_.path()), ElementsAre());
}

TEST_F(DestinationTest, SaysBeforeAllThatItDoesNotFit) {
  constexpr uint64_t kTooMuch = uint64_t{1} << 43;
  // /dev/shm is memory, where nothing is laid out ahead.
  for (const std::string& path : {dir_.path().native(), std::string("/dev/shm")}) {
    LARDER_ASSERT_OK_AND_ASSIGN(Directory root, Directory::Open(path));
    EXPECT_THAT(Destination::Create(std::move(root), "larder-test", kTooMuch, false, interrupts_),
                StatusIs(StatusCode::kResourceExhausted))
        << path;
  }
}

TEST_F(DestinationTest, ALinkOnTheWayIsNotFollowed) {
  fs::create_directory(dir_ / "elsewhere");
  fs::create_directory(dir_ / "root");
  fs::create_directory_symlink(dir_ / "elsewhere", dir_ / "root/a");
  EXPECT_THAT(WriteTo("root/a/f", "x"), StatusIs(StatusCode::kInvalidArgument, "NOT_A_DIRECTORY"));
  EXPECT_THAT(Names(dir_ / "elsewhere"), ElementsAre());
}

TEST_F(DestinationTest, AFileInTheWayOfAFolderIsRefused) {
  Make("a", "x");
  EXPECT_THAT(WriteTo("a/f", "x"), StatusIs(StatusCode::kInvalidArgument, "NOT_A_DIRECTORY"));
}

TEST_F(DestinationTest, ReplacesFilesOnly) {
  ASSERT_EQ(::mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  // Who would only be told to overwrite it would be told this next.
  for (const bool overwrite : {false, true}) {
    EXPECT_THAT(WriteTo("pipe", "x", overwrite), StatusIs(StatusCode::kInvalidArgument, "NOT_A_FILE"));
  }
}

TEST_F(DestinationTest, ANameMayBeAsLongAsNamesCanBe) { EXPECT_THAT(WriteTo(std::string(255, 'n'), "x"), IsOk()); }

using SourceTest = Files;

std::string ReadAll(Source& source) {
  std::string content;
  while (const uint64_t want = source.want()) {
    std::string part(std::min<uint64_t>(want, 3), '\0');
    const auto got = source.Read(std::as_writable_bytes(std::span(part)));
    EXPECT_THAT(got, IsOk());
    if (!got.ok() || *got == 0) break;
    content += part.substr(0, *got);
  }
  return content;
}

TEST_F(SourceTest, ReadsAFileOfItsSize) {
  LARDER_ASSERT_OK_AND_ASSIGN(Source source, Source::Open(Make("f", "hello"), interrupts_));
  EXPECT_EQ(source.size(), 5u);
  EXPECT_EQ(ReadAll(source), "hello");
  EXPECT_THAT(source.CheckUnchanged(), IsOk());
}

TEST_F(SourceTest, AFileWithoutASizeIsReadToItsEnd) {
  LARDER_ASSERT_OK_AND_ASSIGN(Source empty, Source::Open(Make("empty", ""), interrupts_));
  EXPECT_EQ(empty.size(), std::nullopt);
  EXPECT_EQ(ReadAll(empty), "");
  LARDER_ASSERT_OK_AND_ASSIGN(Source proc, Source::Open("/proc/self/status", interrupts_));
  EXPECT_NE(ReadAll(proc), "");
}

TEST_F(SourceTest, TellsOfAFileThatGrew) {
  const std::string path = Make("f", "hello");
  LARDER_ASSERT_OK_AND_ASSIGN(Source source, Source::Open(path, interrupts_));
  std::ofstream(path, std::ios::app) << "!";
  EXPECT_EQ(ReadAll(source), "hello");
  EXPECT_THAT(source.CheckUnchanged(), StatusIs(StatusCode::kInvalidArgument, "SOURCE_CHANGED"));
}

TEST_F(SourceTest, TellsOfAFileThatShrank) {
  const std::string path = Make("f", "hello");
  LARDER_ASSERT_OK_AND_ASSIGN(Source source, Source::Open(path, interrupts_));
  fs::resize_file(path, 2);
  std::string part(5, '\0');
  EXPECT_THAT(source.Read(std::as_writable_bytes(std::span(part))),
              StatusIs(StatusCode::kInvalidArgument, "SOURCE_CHANGED"));
}

TEST_F(SourceTest, RefusesWhatCannotBeRead) {
  EXPECT_THAT(Source::Open((dir_ / "none").native(), interrupts_), StatusIs(StatusCode::kInvalidArgument, "ENOENT"));
  EXPECT_THAT(Source::Open(dir_.path().native(), interrupts_), StatusIs(StatusCode::kInvalidArgument, "IS_DIRECTORY"));
}

using TreeTest = Files;

TEST_F(TreeTest, VisitsFilesInOrderAndReportsTheRest) {
  for (const char* name : {"t/b", "t/a/2", "t/a/1", "t/c"}) Make(name, "x");
  fs::create_directory(dir_ / "t/empty");
  fs::create_symlink("b", dir_ / "t/link");
  fs::create_symlink("nowhere", dir_ / "t/broken");
  fs::create_directory_symlink("a", dir_ / "t/folder-link");
  ASSERT_EQ(::mkfifo((dir_ / "t/pipe").c_str(), 0600), 0);
  std::vector<std::string> visited;
  std::vector<std::string> reported;
  EXPECT_THAT(WalkTree((dir_ / "t").native(),
                       [&](const std::string& relative) {
                         visited.push_back(relative);
                         return absl::OkStatus();
                       },
                       [&](const absl::Status& failure) { reported.push_back(base::Message(failure)); }),
              IsOk());
  EXPECT_THAT(visited, ElementsAre("a/1", "a/2", "b", "c", "link"));
  EXPECT_THAT(reported,
              ElementsAre(::testing::HasSubstr("t/broken is a link"), ::testing::HasSubstr("t/folder-link is a link"),
                          ::testing::HasSubstr("t/pipe is neither")));
}

TEST_F(TreeTest, EndsWithTheVisitorsError) {
  for (const char* name : {"t/a", "t/b"}) Make(name, "x");
  int visits = 0;
  EXPECT_THAT(WalkTree((dir_ / "t").native(),
                       [&](const std::string&) {
                         ++visits;
                         return absl::CancelledError("enough");
                       },
                       [](const absl::Status&) {}),
              StatusIs(StatusCode::kCancelled));
  EXPECT_EQ(visits, 1);
}

TEST_F(TreeTest, NeedsADirectory) {
  const auto visit = [](const std::string&) { return absl::OkStatus(); };
  EXPECT_THAT(WalkTree(Make("f", "x"), visit, [](const absl::Status&) {}), StatusIs(StatusCode::kInvalidArgument));
}

TEST(PathOfKey, IsWhatFollowsTheFolder) {
  EXPECT_EQ(FolderPrefix("a/b"), "a/b/");
  EXPECT_EQ(FolderPrefix("a/"), "a/");
  EXPECT_EQ(FolderPrefix(""), "");
  EXPECT_EQ(*PathOfKey("a/b/c", FolderPrefix("a")), "b/c");
  EXPECT_EQ(*PathOfKey("a/b/c", ""), "a/b/c");
}

TEST(PathOfKey, NeverLeadsOutOfTheDirectory) {
  for (const std::string key : {"a/../x", "../x", "a/..", "/etc/passwd", "a//x", "a/./x", "a/", ".."}) {
    EXPECT_THAT(PathOfKey(key, ""), StatusIs(StatusCode::kInvalidArgument, "BAD_KEY")) << key;
  }
  EXPECT_THAT(PathOfKey("b/x", "a/"), StatusIs(StatusCode::kInvalidArgument, "BAD_KEY"));
  EXPECT_THAT(PathOfKey("a//etc", "a/"), StatusIs(StatusCode::kInvalidArgument, "BAD_KEY"));
}

}  // namespace
}  // namespace larder::cli
