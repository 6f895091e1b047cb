#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/raft/rocks_log_store.h"

namespace larder::raft {
namespace {

namespace fs = std::filesystem;
using base::IsOk;
using base::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const auto kDamaged = StatusIs(absl::StatusCode::kDataLoss, "LOG_DAMAGED");

LogWrite Write(uint64_t index) {
  LogWrite write;
  write.entries.push_back({.at = {.index = index, .term = 1}, .payload = std::string(20 + index % 50, 'x')});
  write.hard_state = HardState{.term = 1, .vote = 1, .commit = index};
  return write;
}

void Append(LogStore& store, uint64_t first, uint64_t last) {
  for (uint64_t i = first; i <= last; ++i) {
    const LogWrite write = Write(i);
    ASSERT_THAT(store.Write({&write, 1}), IsOk());
  }
}

std::string Contents(const fs::path& path) { return base::ReadFile(path).value(); }
void Put(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void Flip(const fs::path& path, size_t bit) {
  std::string bytes = Contents(path);
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
  Put(path, bytes);
}

// A log with entries 1 to `last`, each one write, closed. Every open is of a copy, so that one log serves many cases.
class LogRecoveryTest : public ::testing::Test {
 protected:
  void Make(uint64_t last, int reopen = 0) {
    for (int i = 0; i <= reopen; ++i) {
      auto store = OpenRocksLog({.dir = dir_ / "made"});
      ASSERT_THAT(store, IsOk());
      const uint64_t held = (*store)->extent().last.index;
      Append(**store, held + 1, last * (i + 1) / (reopen + 1));
    }
    made_ = dir_ / "made";
    Reset();
  }
  void Reset() {
    fs::remove_all(log());
    fs::copy(made_, log(), fs::copy_options::recursive);
    repairs_.clear();
  }
  fs::path log() const { return dir_ / "log"; }
  // The files of the database whose name has `part` in it, in order.
  std::vector<fs::path> Files(std::string_view part) const {
    std::vector<fs::path> files;
    for (const auto& file : fs::directory_iterator(log() / "db")) {
      if (file.path().filename().native().find(part) != std::string::npos) files.push_back(file.path());
    }
    std::ranges::sort(files);
    return files;
  }
  fs::path Wal() const { return Files(".log").back(); }

  absl::StatusOr<std::unique_ptr<LogStore>> Open() {
    return OpenRocksLog({.dir = log(), .on_repair = [this](std::string_view what) { repairs_.emplace_back(what); }});
  }
  // How many entries are there; what they say is checked, and that the log goes on.
  absl::StatusOr<uint64_t> Recovered() {
    LARDER_ASSIGN_OR_RETURN(const auto store, Open());
    const uint64_t last = store->extent().last.index;
    EXPECT_EQ(store->extent().hard_state.commit, last);
    uint64_t index = 0;
    if (last > 0) {
      LARDER_RETURN_IF_ERROR(store->Read(
          1, last + 1, UINT64_MAX, [&](const LogEntry& entry) { EXPECT_EQ(entry, Write(++index).entries.front()); }));
    }
    Append(*store, last + 1, last + 1);
    return last;
  }

  base::TempDir dir_;
  fs::path made_;
  std::vector<std::string> repairs_;
};

TEST_F(LogRecoveryTest, AnUnharmedLogIsNotRepaired) {
  Make(30, 2);
  EXPECT_EQ(*Recovered(), 30u);
  EXPECT_EQ(*Recovered(), 31u);
  EXPECT_THAT(repairs_, IsEmpty());
}

TEST_F(LogRecoveryTest, AFlippedBitBeforeTheLastRecordIsRefused) {
  Make(40);
  const size_t size = Contents(Wal()).size();
  const size_t last_record = 7 + 12 + 200;  // more than it takes
  for (size_t bit = 3; bit < 8 * (size - last_record); bit += 97) {
    Reset();
    Flip(Wal(), bit);
    const auto opened = Open();
    ASSERT_THAT(opened, kDamaged) << "bit " << bit;
    ASSERT_THAT(base::Message(opened.status()), HasSubstr(log().native()));
    ASSERT_THAT(Open(), kDamaged) << "again";
  }
}

TEST_F(LogRecoveryTest, AFlippedBitInALogOfManyBlocksIsRefused) {
  Make(1500);
  const size_t size = Contents(Wal()).size();
  ASSERT_GT(size, 4u * 32 * 1024);
  for (size_t i = 0; i < 40; ++i) {
    Reset();
    Flip(Wal(), 8 * (size - 1000) / 40 * i + i);
    ASSERT_THAT(Open(), kDamaged) << i;
  }
}

TEST_F(LogRecoveryTest, ATruncatedTailIsCutOffAndWholeWritesAreKept) {
  Make(6);
  const std::string wal = Contents(Wal());
  uint64_t before = 6;
  for (size_t size = wal.size(); size > 0; size -= std::min<size_t>(size, 3)) {
    Reset();
    Put(Wal(), wal.substr(0, size));
    const auto recovered = Recovered();
    ASSERT_THAT(recovered, IsOk()) << size;
    ASSERT_LE(*recovered, before) << size;
    ASSERT_GE(*recovered + 1, before) << size << ": a write at a time";
    // Writes take at most 7 + 12 + 43 + 13 + 9 + 4 + 70 bytes each.
    ASSERT_GE(*recovered, size / 160) << size;
    before = *recovered;
  }
  EXPECT_EQ(before, 0u);
}

TEST_F(LogRecoveryTest, ARepairIsTold) {
  Make(12);
  const std::string wal = Contents(Wal());
  Put(Wal(), wal.substr(0, wal.size() - 1));
  EXPECT_EQ(*Recovered(), 11u);
  EXPECT_THAT(repairs_, ::testing::ElementsAre(HasSubstr(Wal().filename().native().substr(0, 3))));
  repairs_.clear();
  EXPECT_EQ(*Recovered(), 12u);
  EXPECT_THAT(repairs_, IsEmpty()) << "once";
}

TEST_F(LogRecoveryTest, AZeroedTailIsCutOff) {
  Make(12);
  const std::string wal = Contents(Wal());
  for (size_t zeroed = 8; zeroed < wal.size(); zeroed += 17) {  // less than 8 are zero already
    Reset();
    Put(Wal(), wal.substr(0, wal.size() - zeroed) + std::string(zeroed, '\0'));
    const auto recovered = Recovered();
    ASSERT_THAT(recovered, IsOk()) << zeroed;
    ASSERT_GE(*recovered, (wal.size() - zeroed) / 160) << zeroed;
    ASSERT_FALSE(repairs_.empty()) << zeroed;
  }
  Reset();
  Put(Wal(), wal + std::string(100'000, '\0'));
  EXPECT_EQ(*Recovered(), 12u);
}

// A record written in part cannot be told from one that was damaged later, if none follows.
TEST_F(LogRecoveryTest, ADamagedLastRecordIsATornTail) {
  Make(12);
  const size_t size = Contents(Wal()).size();
  for (size_t byte = size - 30; byte < size; ++byte) {
    Reset();
    Flip(Wal(), 8 * byte + byte % 8);
    const auto recovered = Recovered();
    ASSERT_THAT(recovered, IsOk()) << byte;
    ASSERT_EQ(*recovered, 11u) << byte;
    ASSERT_FALSE(repairs_.empty()) << byte;
  }
}

// Pages of a long record may reach the disk in any order.
TEST_F(LogRecoveryTest, ALongLastRecordMayBeTornAnywhere) {
  Make(3);
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const auto store, Open());
    Append(*store, 4, 5);
    LogWrite write = Write(6);
    write.entries.front().payload.assign(150'000, 'y');
    ASSERT_THAT(store->Write({&write, 1}), IsOk());
  }
  const std::string wal = Contents(Wal());
  ASSERT_GT(wal.size(), 150'000u);
  for (size_t page = 4096; page + 4096 < wal.size(); page += 4 * 4096) {
    std::string torn = wal;
    std::fill_n(torn.begin() + static_cast<ptrdiff_t>(page), 4096, '\0');
    const fs::path file = Wal();
    Put(file, torn);
    fs::rename(log(), dir_ / "torn");
    fs::copy(dir_ / "torn", log(), fs::copy_options::recursive);
    EXPECT_EQ(*Recovered(), 5u) << page;
    EXPECT_FALSE(repairs_.empty()) << page;
    fs::remove_all(log());
    fs::rename(dir_ / "torn", log());
  }
}

// A crash can leave two write-ahead logs. This one's second half is moved to the next file.
TEST_F(LogRecoveryTest, ATornLogThatAnotherFollowsIsRefused) {
  Make(12);
  const std::string wal = Contents(Wal());
  size_t cut = 0;
  for (int records = 0; records < 7; ++records) {
    uint16_t length = 0;
    std::memcpy(&length, wal.data() + cut + 4, sizeof length);
    cut += 7 + length;
  }
  const fs::path first = Wal();
  const fs::path second = log() / "db" / "000999.log";
  const auto split = [&](const std::string& front, const std::string& back) {
    Reset();
    Put(first, front);
    Put(second, back);
  };
  split(wal.substr(0, cut), wal.substr(cut));
  EXPECT_EQ(*Recovered(), 12u);
  split(wal.substr(0, cut - 1), wal.substr(cut));
  EXPECT_THAT(Open(), kDamaged);
  split(wal.substr(0, cut - 1), "");
  EXPECT_EQ(*Recovered(), 6u) << "the torn record was the last";
}

// Whatever file a bit flips in: all is there, or the log is refused.
TEST_F(LogRecoveryTest, AFlippedBitInAnyOtherFileNeverLosesAnything) {
  Make(60, 2);
  ASSERT_FALSE(Files(".sst").empty());
  for (const std::string part : {".sst", "MANIFEST", "CURRENT", "OPTIONS", "IDENTITY"}) {
    int refused = 0;
    ASSERT_FALSE(Files(part).empty()) << part;
    const size_t bits = 8 * Contents(Files(part).front()).size();
    for (size_t bit = 0; bit < bits; bit += std::max<size_t>(1, bits / 31)) {
      Reset();
      Flip(Files(part).front(), bit);
      const auto recovered = Recovered();
      if (recovered.ok()) {
        ASSERT_EQ(*recovered, 60u) << part << " bit " << bit;
      } else {
        ++refused;
        ASSERT_THAT(recovered, kDamaged) << part << " bit " << bit;
      }
    }
    EXPECT_EQ(refused > 0, part != "OPTIONS" && part != "IDENTITY") << part;
  }
}

// RocksDB writes the next one and then names it in CURRENT; a crash in between leaves any part of it.
TEST_F(LogRecoveryTest, AManifestThatIsNotInForceIsNotJudged) {
  Make(60, 2);
  const std::string manifest = Contents(Files("MANIFEST").back());
  std::string half = manifest;
  half[10] = static_cast<char>(half[10] ^ 1);
  Put(log() / "db" / "MANIFEST-000998", half);
  EXPECT_EQ(*Recovered(), 60u);
  EXPECT_THAT(repairs_, IsEmpty());
}

TEST_F(LogRecoveryTest, AMissingFileIsRefused) {
  Make(60, 2);
  for (const std::string part : {".sst", "MANIFEST", "CURRENT"}) {
    Reset();
    fs::remove(Files(part).front());
    EXPECT_THAT(Open(), kDamaged) << part;
  }
  Reset();
  fs::remove_all(log() / "db");
  EXPECT_THAT(Open(), kDamaged);
  Reset();
  Flip(log() / "format", 5);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition, "LOG_FORMAT"));
}

TEST_F(LogRecoveryTest, AnInterruptedRepairIsUndoneOrCompleted) {
  Make(12);
  fs::copy(log() / "db", log() / "repair", fs::copy_options::recursive);
  Put(log() / "repair" / "CURRENT", "half a copy");
  EXPECT_EQ(*Recovered(), 12u) << "before the torn database was set aside";
  Reset();
  fs::copy(log() / "db", log() / "repair", fs::copy_options::recursive);
  fs::rename(log() / "db", log() / "torn");
  Put(log() / "torn" / "CURRENT", "torn");
  EXPECT_EQ(*Recovered(), 12u) << "after it";
  EXPECT_FALSE(fs::exists(log() / "repair"));
  EXPECT_FALSE(fs::exists(log() / "torn"));
}

}  // namespace
}  // namespace larder::raft
