#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "core/command.h"
#include "core/reply.h"
#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "tests/sample_entries.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return text;
}

// "NAME HEX" a line.
std::map<std::string, std::string> Golden(std::string_view file) {
  const auto text = base::ReadFile(std::filesystem::path(LARDER_GOLDEN_DIR) / file);
  EXPECT_THAT(text.status(), IsOk());
  std::istringstream lines(text.value_or(""));
  std::map<std::string, std::string> golden;
  for (std::string name, hex; lines >> name >> hex;) golden[name] = hex;
  return golden;
}

TEST(EntryCodec, EveryKindIsAsInTheGoldenFile) {
  std::map<std::string, std::string> written;
  for (const auto& [name, entry] : SampleEntries()) written[name] = Hex(EncodeEntry(entry));
  EXPECT_EQ(written, Golden("entries.txt"));
}

TEST(ReplyCodec, EveryKindIsAsInTheGoldenFile) {
  std::map<std::string, std::string> written;
  for (const auto& [name, replies] : SampleReplies()) written[name] = Hex(EncodeReplies(replies));
  EXPECT_EQ(written, Golden("replies.txt"));
}

TEST(EntryCodec, TheSamplesHaveEveryKind) {
  std::set<size_t> kinds;
  for (const auto& [name, entry] : SampleEntries()) {
    for (const Command& command : entry.commands) kinds.insert(command.index());
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<Command>);
  kinds.clear();
  for (const auto& [name, replies] : SampleReplies()) {
    for (const Reply& reply : replies) kinds.insert(reply.index());
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<Reply>);
}

TEST(EntryCodec, WhatWasWrittenIsRead) {
  for (const auto& [name, entry] : SampleEntries()) {
    const auto read = DecodeEntry(base::AsBytes(EncodeEntry(entry)));
    ASSERT_THAT(read, IsOk()) << name;
    EXPECT_EQ(*read, entry) << name;
  }
  for (const auto& [name, replies] : SampleReplies()) {
    const auto read = DecodeReplies(base::AsBytes(EncodeReplies(replies)));
    ASSERT_THAT(read, IsOk()) << name;
    EXPECT_EQ(*read, replies) << name;
  }
}

TEST(EntryCodec, NoPartOfAnEntryIsOneNorIsOneWithMore) {
  for (const auto& [name, entry] : SampleEntries()) {
    const std::string bytes = EncodeEntry(entry);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_THAT(DecodeEntry(base::AsBytes(bytes.substr(0, size))), StatusIs(StatusCode::kDataLoss, "BAD_ENTRY"))
          << name << " cut at " << size;
    }
    EXPECT_THAT(DecodeEntry(base::AsBytes(bytes + '\0')), StatusIs(StatusCode::kDataLoss, "BAD_ENTRY")) << name;
  }
}

TEST(ReplyCodec, NoPartOfRepliesIsReadNorMore) {
  for (const auto& [name, replies] : SampleReplies()) {
    const std::string bytes = EncodeReplies(replies);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_THAT(DecodeReplies(base::AsBytes(bytes.substr(0, size))), StatusIs(StatusCode::kDataLoss, "BAD_REPLY"))
          << name << " cut at " << size;
    }
    EXPECT_THAT(DecodeReplies(base::AsBytes(bytes + '\0')), StatusIs(StatusCode::kDataLoss, "BAD_REPLY")) << name;
  }
}

TEST(EntryCodec, OtherFormatsAndKindsAreRefused) {
  std::string bytes = EncodeEntry({.commands = {OpenSession{}}});
  ASSERT_THAT(DecodeEntry(base::AsBytes(bytes)), IsOk());
  std::string other = bytes;
  other[0] = 2;
  EXPECT_THAT(DecodeEntry(base::AsBytes(other)), StatusIs(StatusCode::kDataLoss, "BAD_ENTRY"));
  other = bytes;
  other[1] = 0;
  EXPECT_THAT(DecodeEntry(base::AsBytes(other)), StatusIs(StatusCode::kDataLoss, "BAD_ENTRY"));
}

TEST(EntryCodec, ANegativeDurationIsNoEntry) {
  const std::string bytes = EncodeEntry({.commands = {GrantLease{"n", "h", base::Duration(-1)}}});
  EXPECT_THAT(DecodeEntry(base::AsBytes(bytes)), StatusIs(StatusCode::kDataLoss, "BAD_ENTRY"));
}

TEST(EntryCodec, ABatchBeyondTheLimitIsNoEntry) {
  Entry entry{.commands = std::vector<Command>(kMaxBatch, OpenSession{})};
  EXPECT_THAT(DecodeEntry(base::AsBytes(EncodeEntry(entry))), IsOk());
  entry.commands.emplace_back(OpenSession{});
  EXPECT_THAT(DecodeEntry(base::AsBytes(EncodeEntry(entry))), StatusIs(StatusCode::kDataLoss, "BAD_ENTRY"));
}

// A count of four billion in a few bytes.
TEST(EntryCodec, ACountBeyondTheBytesIsRefused) {
  std::string bytes = EncodeEntry({.commands = {RespDelete{{"team", 0}, {}}}});
  bytes.replace(bytes.size() - 4, 4, "\xff\xff\xff\xff");
  EXPECT_THAT(DecodeEntry(base::AsBytes(bytes)), StatusIs(StatusCode::kDataLoss, "BAD_ENTRY"));
}

}  // namespace
}  // namespace larder::tracker
