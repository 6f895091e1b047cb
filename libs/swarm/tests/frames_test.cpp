#include "src/frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <sstream>

#include "larder/base/codec.h"
#include "larder/base/digest.h"
#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::swarm {
namespace {

using base::IsOk;
using base::StatusIs;
using testing::ElementsAre;

const auto kBadFrame = StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FRAME");

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return text;
}

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t at = 0; at + 1 < hex.size(); at += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16));
  }
  return bytes;
}

// "NAME HEX" a line.
std::map<std::string, std::string> Golden() {
  const auto text = base::ReadFile(std::filesystem::path(LARDER_GOLDEN_DIR) / "frames.txt");
  EXPECT_THAT(text.status(), IsOk());
  std::istringstream lines(text.value_or(""));
  std::map<std::string, std::string> golden;
  for (std::string name, hex; lines >> name >> hex;) golden[name] = FromHex(hex);
  return golden;
}

const Manifest kManifest = {.size = kMinPieceLength + 1,
                            .piece_length = kMinPieceLength,
                            .pieces = {0x01020304, 0xA1B2C3D4},
                            .digest = base::Sha256DigestOf({1, 2, 3})};
const PieceTicket kTicket = {.id = {"training", "models/a"},
                             .epoch = {7},
                             .child = "node-b",
                             .parent = {3},
                             .expiry = base::WallTime(std::chrono::milliseconds(1'700'000'000'123))};

std::string SampleTicket() {
  TicketSigner signer;
  EXPECT_THAT(signer.SetKeys({{.id = 5, .secret = {1, 2, 3}}}), IsOk());
  return signer.Sign(kTicket).value();
}

std::map<std::string, std::string> Samples() {
  const std::string data = "data";
  const auto piece = [&](std::optional<uint32_t> crc) {
    const auto header = EncodePieceHeader({.request = 9, .piece = 1, .offset = 65536}, 4, crc);
    return std::string(base::AsText(header)) + data;
  };
  return {
      {"HELLO", Encode(HelloFrame{.transfer_class = TransferClass::kRepair, .ticket = SampleTicket()})},
      {"OPEN", Encode(OpenFrame{.epoch = {7}, .node_epoch = {3}, .piece_length = base::kMiB})},
      {"OPEN_SUPER_SEEDING", Encode(OpenFrame{.epoch = {7}, .node_epoch = {3}, .super_seeding = true})},
      {"MANIFEST", EncodeManifestFrame(kManifest, true)},
      {"MANIFEST_SUPER_SEEDING", EncodeManifestFrame(kManifest, false, true)},
      {"GET", Encode(GetFrame{.request = 9, .run = {1, 16}, .start = 65536})},
      {"PIECE", piece(base::Crc32c(base::AsBytes(data)))},
      {"PIECE_OF_A_FILE", piece(std::nullopt)},
      {"HAVE", Encode(HaveFrame{.state = PieceMap::State::kHeld, .runs = {{0, 5}, {9, 1}}})},
      {"CANCEL", Encode(CancelFrame{.request = 9})},
      {"DOUBT", Encode(DoubtFrame{.piece = 3})},
      {"ERROR", EncodeError(9, base::Error(absl::StatusCode::kNotFound, "NO_PIECE", "piece 1: not here"))},
  };
}

TEST(Frames, AreAsInTheGoldenFile) {
  const auto golden = Golden();
  for (const auto& [name, bytes] : Samples()) {
    const auto found = golden.find(name);
    EXPECT_TRUE(found != golden.end() && found->second == bytes) << name << ' ' << Hex(bytes);
  }
  EXPECT_EQ(golden.size(), Samples().size());
}

ControlFrame Control(const std::string& bytes) {
  const auto frame = NextControl(base::AsBytes(bytes));
  EXPECT_THAT(frame, IsOk());
  return **frame;
}

TEST(Frames, DecodeToWhatWasSaid) {
  const auto golden = Golden();
  const auto hello = DecodeHello(Control(golden.at("HELLO")).payload).value();
  EXPECT_EQ(hello.transfer_class, TransferClass::kRepair);
  EXPECT_EQ(hello.ticket, SampleTicket());
  const auto open = DecodeOpen(Control(golden.at("OPEN")).payload, 0).value();
  EXPECT_EQ(open.epoch.value, 7);
  EXPECT_EQ(open.node_epoch.value, 3);
  EXPECT_EQ(open.piece_length, base::kMiB);
  EXPECT_FALSE(open.super_seeding);
  const ControlFrame open_too = Control(golden.at("OPEN_SUPER_SEEDING"));
  EXPECT_TRUE(DecodeOpen(open_too.payload, open_too.header.flags)->super_seeding);
  EXPECT_EQ(Control(golden.at("MANIFEST")).header.flags, kFlagged);
  EXPECT_EQ(Control(golden.at("MANIFEST_SUPER_SEEDING")).header.flags, kSuperSeeding);
  EXPECT_THAT(DecodeManifest(Control(golden.at("MANIFEST")).payload), base::IsOkAndHolds(kManifest));
  const auto get = DecodeGet(Control(golden.at("GET")).payload).value();
  EXPECT_EQ(get.request, 9);
  EXPECT_EQ(get.run, (PieceRun{1, 16}));
  EXPECT_EQ(get.start, 65536);
  const auto have = DecodeHave(Control(golden.at("HAVE")).payload).value();
  EXPECT_EQ(have.state, PieceMap::State::kHeld);
  EXPECT_THAT(have.runs, ElementsAre(PieceRun{0, 5}, PieceRun{9, 1}));
  EXPECT_EQ(DecodeCancel(Control(golden.at("CANCEL")).payload)->request, 9);
  EXPECT_EQ(DecodeDoubt(Control(golden.at("DOUBT")).payload)->piece, 3);
  const auto error = DecodeError(Control(golden.at("ERROR")).payload).value();
  EXPECT_EQ(error.request, 9);
  EXPECT_THAT(StatusOf(error), StatusIs(absl::StatusCode::kNotFound, "NO_PIECE"));
}

TEST(Frames, OpenNamesAPieceLengthThatThereIsOrNone) {
  const auto decoded = [](uint32_t piece_length) {
    return DecodeOpen(Control(Encode(OpenFrame{.epoch = {7}, .piece_length = piece_length})).payload, 0).status();
  };
  EXPECT_THAT(decoded(0), IsOk());
  EXPECT_THAT(decoded(kMinPieceLength), IsOk());
  EXPECT_THAT(decoded(kMaxPieceLength), IsOk());
  EXPECT_THAT(decoded(kMinPieceLength / 2), kBadFrame);
  EXPECT_THAT(decoded(kMinPieceLength + 1), kBadFrame);
  EXPECT_THAT(decoded(kMaxPieceLength * 2), kBadFrame);
}

TEST(Frames, OfPiecesSayWhoseDataTheyCarry) {
  const auto golden = Golden();
  const base::ByteSpan bytes = base::AsBytes(golden.at("PIECE"));
  const auto header = DecodeHeader(bytes).value();
  EXPECT_EQ(header.length, kPieceFieldsSize + 4);
  EXPECT_EQ(header.flags, kFlagged);
  EXPECT_EQ(header.crc, base::Crc32c(base::AsBytes("data")));
  const auto piece = DecodePiece(bytes.subspan(kHeaderSize, kPieceFieldsSize)).value();
  EXPECT_EQ(piece.request, 9);
  EXPECT_EQ(piece.piece, 1);
  EXPECT_EQ(piece.offset, 65536);
  EXPECT_EQ(DecodeHeader(base::AsBytes(golden.at("PIECE_OF_A_FILE")))->flags, 0);
}

TEST(Frames, AreNotThereUntilTheyAreWhole) {
  for (const auto& [name, bytes] : Samples()) {
    if (name.starts_with("PIECE")) continue;
    for (size_t size = 0; size < bytes.size(); ++size) {
      const auto frame = NextControl(base::AsBytes(bytes).first(size));
      ASSERT_THAT(frame, IsOk()) << name;
      EXPECT_FALSE(frame->has_value()) << name;
    }
  }
}

TEST(Frames, AreBadWithAnyByteOfTheirPayloadChanged) {
  for (const auto& [name, bytes] : Samples()) {
    if (name.starts_with("PIECE")) continue;
    for (size_t at = kHeaderSize; at < bytes.size(); ++at) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ 1);
      EXPECT_THAT(NextControl(base::AsBytes(changed)), kBadFrame) << name << ' ' << at;
    }
  }
}

TEST(Frames, TooLongForTheirKindAreRefusedByTheirHeaderAlone) {
  const auto refused = [](FrameKind kind, uint32_t length) {
    base::ByteWriter header;
    header.U32(length).U32(0).U8(static_cast<uint8_t>(kind)).U8(0).U16(0);
    return !DecodeHeader(header.bytes()).ok();
  };
  for (const FrameKind kind : {FrameKind::kHello, FrameKind::kOpen, FrameKind::kGet, FrameKind::kHave,
                               FrameKind::kCancel, FrameKind::kError, FrameKind::kDoubt}) {
    EXPECT_FALSE(refused(kind, kMaxControl));
    EXPECT_TRUE(refused(kind, kMaxControl + 1));
  }
  EXPECT_FALSE(refused(FrameKind::kPiece, kPieceFieldsSize + kMaxChunk));
  EXPECT_TRUE(refused(FrameKind::kPiece, kPieceFieldsSize + kMaxChunk + 1));
  EXPECT_TRUE(refused(FrameKind::kPiece, kPieceFieldsSize)) << "no data";
  EXPECT_FALSE(refused(FrameKind::kManifest, kMaxManifest));
  EXPECT_TRUE(refused(FrameKind::kManifest, kMaxManifest + 1));
  EXPECT_TRUE(refused(static_cast<FrameKind>(0), 0));
  EXPECT_TRUE(refused(static_cast<FrameKind>(10), 0));
}

TEST(Frames, TheLongestManifestFits) {
  const Manifest manifest = {.size = uint64_t{kMaxPieces} * kMaxPieceLength,
                             .piece_length = kMaxPieceLength,
                             .pieces = std::vector<uint32_t>(kMaxPieces, 1),
                             .digest = base::Sha256DigestOf({})};
  const std::string bytes = EncodeManifestFrame(manifest, false);
  EXPECT_THAT(DecodeManifest(Control(bytes).payload), IsOk());
}

TEST(Frames, HaveOfManyRunsIsSeveralFrames) {
  std::vector<PieceRun> runs;
  for (uint32_t i = 0; i < 1200; ++i) runs.push_back({2 * i, 1});
  const std::string bytes = EncodeHave(PieceMap::State::kArriving, runs);
  base::ByteSpan rest = base::AsBytes(bytes);
  std::vector<PieceRun> decoded;
  while (!rest.empty()) {
    const ControlFrame frame = **NextControl(rest);
    const HaveFrame have = DecodeHave(frame.payload).value();
    decoded.insert(decoded.end(), have.runs.begin(), have.runs.end());
    rest = rest.subspan(kHeaderSize + frame.payload.size());
  }
  EXPECT_EQ(decoded, runs);
  EXPECT_EQ(EncodeHave(PieceMap::State::kHeld, {}), "");
}

TEST(Frames, ErrorsGoByNumberAndComeBackAsTheyWere) {
  for (const auto& [code, reason] :
       std::map<absl::StatusCode, std::string>{{absl::StatusCode::kAborted, "EPOCH_STALE"},
                                               {absl::StatusCode::kUnauthenticated, "TICKET_EXPIRED"},
                                               {absl::StatusCode::kResourceExhausted, "TOO_MANY_CONNECTIONS"},
                                               {absl::StatusCode::kUnavailable, "NOT_YET"}}) {
    const std::string bytes = EncodeError(0, base::MakeError(code, reason, "why"));
    const absl::Status status = StatusOf(DecodeError(Control(bytes).payload).value());
    EXPECT_THAT(status, StatusIs(code, reason));
    EXPECT_EQ(base::Message(status), "why");
  }
  EXPECT_THAT(StatusOf({.reason = 999}), StatusIs(absl::StatusCode::kUnknown, "UNKNOWN_REASON"));
}

}  // namespace
}  // namespace larder::swarm
