// The golden records of docs/formats/golden/uds: what the document's tables say, byte for byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "tests/golden_payloads.h"

namespace larder::transport::uds {
namespace {

namespace fs = std::filesystem;
using base::IsOk;

struct Golden {
  Op op{};
  Json record;
  std::vector<std::byte> bytes;
  std::vector<std::string> fields;  // which one each byte is of

  std::string kind() const { return record["kind"]; }
  std::string name() const {
    return fmt::format("{} {} '{}'", *OpName(op), kind(), record["about"].get<std::string>());
  }
};

// "0700000000000000  lease" per line.
Golden Parse(Op op, const Json& record) {
  Golden golden{.op = op, .record = record};
  for (const std::string line : record["bytes"]) {
    const size_t space = line.find("  ");
    const std::vector<std::byte> bytes = FromHex(std::string_view(line).substr(0, space));
    golden.bytes.insert(golden.bytes.end(), bytes.begin(), bytes.end());
    golden.fields.insert(golden.fields.end(), bytes.size(), line.substr(space + 2));
  }
  return golden;
}

std::string FileOf(std::string_view op) {
  std::string name(op);
  std::ranges::transform(name, name.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
  return name + ".json";
}

std::vector<Op> AllOps() {
  std::vector<Op> ops;
  for (uint16_t number = 1; OpName(static_cast<Op>(number)); ++number) ops.push_back(static_cast<Op>(number));
  return ops;
}

std::vector<Golden> GoldenRecords() {
  std::vector<Golden> found;
  for (const Op op : AllOps()) {
    const auto text = base::ReadFile(fs::path(LARDER_GOLDEN_DIR) / FileOf(*OpName(op)));
    EXPECT_THAT(text.status(), IsOk()) << "every operation has its golden records";
    const Json file = Json::parse(text.value_or(R"({"op": "", "records": []})"));
    EXPECT_EQ(file["op"], *OpName(op));
    for (const Json& record : file["records"]) found.push_back(Parse(op, record));
  }
  return found;
}

// What a record says: its header and its fields; BAD_RECORD if it says nothing.
absl::StatusOr<Json> Meaning(const Golden& golden, base::ByteSpan bytes) {
  LARDER_ASSIGN_OR_RETURN(const Header header, DecodeHeader(bytes));
  LARDER_ASSIGN_OR_RETURN(Json fields, DecodeFields(golden.kind(), golden.op, header.code, bytes.subspan(kHeaderSize)));
  return Json{{"op", header.op}, {"request_id", header.request_id}, {"code", header.code}, {"fields", fields}};
}
Json MeaningOf(const Golden& golden) {
  const Json& record = golden.record;
  return {
      {"op", golden.op}, {"request_id", record["request_id"]}, {"code", record["code"]}, {"fields", record["fields"]}};
}

// Bits that a reader passes over, as neighbouring releases may give them a meaning; and times at their bounds: any
// below zero is none, any above a hundred years is a hundred.
bool MayPassUnnoticed(const Golden& golden, size_t at) {
  constexpr int64_t kHundredYears = 100LL * 365 * 86400 * 1000;  // ms
  const std::string& field = golden.fields[at];
  if (field == "reserved") return true;
  const auto begin = static_cast<size_t>(std::ranges::find(golden.fields, field) - golden.fields.begin());
  if (field.ends_with("flags")) return at > begin;
  if (!field.ends_with("ttl_ms") && !field.ends_with("ttl_left_ms")) return false;
  const int64_t time = base::ByteReader(base::ByteSpan(golden.bytes).subspan(begin)).I64();
  return time == -1 || time == kHundredYears;
}

TEST(GoldenRecords, OfEveryOperationAreARequestAndAReplyOrTheAgentsOwn) {
  std::map<Op, std::vector<std::string>> kinds;
  for (const Golden& golden : GoldenRecords()) kinds[golden.op].push_back(golden.kind());
  for (const Op op : AllOps()) {
    const bool own = op == Op::kRevoke || op == Op::kLapsed;
    EXPECT_THAT(kinds[op], testing::Contains(own ? "notice" : "request")) << *OpName(op);
    EXPECT_THAT(kinds[op], testing::Contains(own ? "notice" : "reply")) << *OpName(op);
  }
}

TEST(GoldenRecords, HaveNoFileWithoutAnOperation) {
  size_t files = 0;
  for (const fs::directory_entry& file : fs::directory_iterator(LARDER_GOLDEN_DIR)) {
    files += file.path().extension() == ".json" ? 1 : 0;
  }
  EXPECT_EQ(files, AllOps().size());
}

TEST(GoldenRecords, AreWhatTheirFieldsEncodeTo) {
  for (const Golden& golden : GoldenRecords()) {
    const std::vector<std::byte> payload = EncodeFields(golden.kind(), golden.op, golden.record);
    std::vector<std::byte> record(kHeaderSize);
    EncodeHeader({.op = golden.op,
                  .request_id = golden.record["request_id"],
                  .length = static_cast<uint32_t>(payload.size()),
                  .code = golden.record["code"]},
                 record.data());
    record.insert(record.end(), payload.begin(), payload.end());
    EXPECT_EQ(ToHex(record), ToHex(golden.bytes)) << golden.name();
  }
}

TEST(GoldenRecords, DecodeToTheirFields) {
  for (const Golden& golden : GoldenRecords()) {
    LARDER_ASSERT_OK_AND_ASSIGN(const Json meaning, Meaning(golden, golden.bytes));
    EXPECT_EQ(meaning, MeaningOf(golden)) << golden.name();
  }
}

TEST(GoldenRecords, MeanSomethingElseOrNothingWithAnyByteChanged) {
  for (const Golden& golden : GoldenRecords()) {
    for (size_t at = 0; at < golden.bytes.size(); ++at) {
      std::vector<std::byte> changed = golden.bytes;
      changed[at] ^= std::byte{1};
      const absl::StatusOr<Json> meaning = Meaning(golden, changed);
      const bool noticed = !meaning.ok() || *meaning != MeaningOf(golden);
      EXPECT_TRUE(noticed || MayPassUnnoticed(golden, at))
          << golden.name() << ": byte " << at << ", of " << golden.fields[at];
    }
  }
}

TEST(GoldenRecords, AreBadRecordsOneByteShort) {
  for (const Golden& golden : GoldenRecords()) {
    EXPECT_THAT(DecodeHeader(base::ByteSpan(golden.bytes).first(golden.bytes.size() - 1)).status(),
                base::StatusIs(absl::StatusCode::kInvalidArgument, "BAD_RECORD"))
        << golden.name();
  }
}

}  // namespace
}  // namespace larder::transport::uds
