#include "src/log_frames.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "larder/base/digest.h"

namespace larder::raft {
namespace {

// RocksDB's log format: blocks of 32 KiB; in each, frames of {masked CRC-32C of type and data u32, length u16, type u8}
// and data. A record is one frame, or a first, middle and a last one; what is too short for a header is filled up.
constexpr uint64_t kBlock = 32 * 1024;
constexpr uint64_t kHeader = 7;
enum Type : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

uint32_t Mask(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xA282EAD8; }

template <typename T>
T Load(base::ByteSpan bytes, uint64_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

struct Frame {
  Type type;
  uint64_t end;
};

uint64_t BlockEnd(base::ByteSpan bytes, uint64_t at) {
  return std::min<uint64_t>(bytes.size(), (at / kBlock + 1) * kBlock);
}

// Whether a frame begins at `at` that has `length` bytes of data.
bool Matches(base::ByteSpan bytes, uint64_t at, uint64_t length) {
  if (at + kHeader + length > BlockEnd(bytes, at)) return false;
  return Mask(base::Crc32c(bytes.subspan(at + kHeader - 1, 1 + length))) == Load<uint32_t>(bytes, at);
}

std::optional<Frame> FrameAt(base::ByteSpan bytes, uint64_t at) {
  if (at + kHeader > BlockEnd(bytes, at)) return std::nullopt;
  const auto type = Load<uint8_t>(bytes, at + kHeader - 1);
  const auto length = Load<uint16_t>(bytes, at + 4);
  if (type < kFull || type > kLast || !Matches(bytes, at, length)) return std::nullopt;
  return Frame{.type = static_cast<Type>(type), .end = at + kHeader + length};
}

// Whether what is at `at` would be a frame but for one bit of its length. The checksum does not cover the length.
bool LengthIsFlipped(base::ByteSpan bytes, uint64_t at) {
  if (at + kHeader > BlockEnd(bytes, at)) return false;
  const auto length = Load<uint16_t>(bytes, at + 4);
  for (int bit = 0; bit < 16; ++bit) {
    if (Matches(bytes, at, length ^ 1u << bit)) return true;
  }
  return false;
}

// Whether another record begins after `at`. Its writer had seen the one before on disk. The later frames of one record
// prove nothing: the disk may have got them before the first.
bool AnyRecordAfter(base::ByteSpan bytes, uint64_t at) {
  while (++at < bytes.size()) {
    const std::optional<Frame> frame = FrameAt(bytes, at);
    if (frame && frame->type <= kFirst && frame->end > at + kHeader) return true;
  }
  return false;
}

}  // namespace

FileState ExamineLogFile(base::ByteSpan bytes) {
  FileState state;
  bool inside = false;  // a record of several frames
  for (uint64_t at = 0; at < bytes.size();) {
    if (const uint64_t left = kBlock - at % kBlock; left < kHeader) {
      at += left;  // filled up
      continue;
    }
    const std::optional<Frame> frame = FrameAt(bytes, at);
    if (!frame) {
      const bool damaged = LengthIsFlipped(bytes, at) || AnyRecordAfter(bytes, at);
      state.end = damaged ? FileEnd::kDamaged : FileEnd::kTorn;
      return state;
    }
    const bool goes_on = frame->type == kMiddle || frame->type == kLast;
    if (goes_on != inside) {  // whole frames in an order that is never written
      state.end = FileEnd::kDamaged;
      return state;
    }
    inside = frame->type == kFirst || frame->type == kMiddle;
    at = frame->end;
    if (!inside) state.whole = at;
  }
  if (inside) state.end = FileEnd::kTorn;
  return state;
}

}  // namespace larder::raft
