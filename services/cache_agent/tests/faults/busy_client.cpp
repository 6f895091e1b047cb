#include "tests/faults/busy_client.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>
#include <stdexcept>
#include <utility>

#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::cache_agent {
namespace {

using base::kKiB;
using base::kMiB;

constexpr uint64_t kRingSize = 4 * kMiB;
// The batch's items: three that are answered at once, and one that waits for another creator.
constexpr uint16_t kBatchItems = 4;
constexpr uint16_t kWaitingItem = 2;

}  // namespace

std::string_view DoingName(Doing doing) {
  switch (doing) {
    case Doing::kConnecting:
      return "BeforeHello";
    case Doing::kInlineWrite:
      return "WritingInline";
    case Doing::kWindowWrite:
      return "WritingThroughAWindow";
    case Doing::kRingWrite:
      return "WritingThroughTheRing";
    case Doing::kSealing:
      return "Sealing";
    case Doing::kReading:
      return "Reading";
    case Doing::kWaiting:
      return "Waiting";
    case Doing::kBatch:
      return "InABatch";
  }
  return "";
}

Doing DoingOf(std::string_view name) {
  for (const Doing doing : kAllDoings) {
    if (DoingName(doing) == name) return doing;
  }
  throw std::invalid_argument(std::string(name));
}

bool Creates(Doing doing) {
  return doing == Doing::kInlineWrite || doing == Doing::kWindowWrite || doing == Doing::kRingWrite ||
         doing == Doing::kSealing;
}

std::string Pattern(std::string_view key, uint64_t size) {
  std::mt19937_64 random(std::hash<std::string_view>()(key));
  std::string bytes(size + sizeof(uint64_t), '\0');
  for (uint64_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  bytes.resize(size);
  return bytes;
}

uint64_t SizeOf(Doing doing) {
  switch (doing) {
    case Doing::kInlineWrite:
      return 96 * kKiB;
    case Doing::kWindowWrite:
    case Doing::kSealing:
      return 2 * kMiB + 12345;
    case Doing::kRingWrite:
      return kMiB + 12345;
    case Doing::kBatch:
      return 500;
    case Doing::kConnecting:
    case Doing::kReading:
    case Doing::kWaiting:
      break;
  }
  return 0;
}

absl::StatusOr<BusyClient> BusyClient::Begin(const std::filesystem::path& socket_dir, Doing doing,
                                             const std::string& key, const std::string& ns) {
  LARDER_ASSIGN_OR_RETURN(RawClient raw, RawClient::Dial(socket_dir));
  BusyClient busy(std::move(raw), doing, key);
  if (doing == Doing::kConnecting) return busy;
  LARDER_RETURN_IF_ERROR(busy.raw_.Hello(ns));
  if (Creates(doing)) {
    LARDER_RETURN_IF_ERROR(busy.BeginCreation());
  } else if (doing == Doing::kReading) {
    LARDER_ASSIGN_OR_RETURN(busy.got_, busy.raw_.Get(kKeptKey));
    busy.memory_ = MapAll(busy.got_.shared, PROT_READ);
    busy.Crc();  // every page is there
  } else if (doing == Doing::kWaiting) {
    LARDER_RETURN_IF_ERROR(busy.raw_.Send(Op::kCreate, CreationOf(kBusyKey)));
  } else {
    LARDER_RETURN_IF_ERROR(busy.BeginBatch());
  }
  return busy;
}

absl::Status BusyClient::BeginCreation() {
  LARDER_ASSIGN_OR_RETURN(creating_, raw_.Create(key_, {.size_hint = content_.size(), .overwrite = true}));
  if (doing_ != Doing::kInlineWrite) {
    const bool ring = doing_ == Doing::kRingWrite;
    LARDER_ASSIGN_OR_RETURN(const Shared shared,
                            raw_.Window(ring ? 0 : creating_.lease, ring ? kRingSize : content_.size()));
    memory_ = MapAll(shared, PROT_READ | PROT_WRITE);
  }
  LARDER_RETURN_IF_ERROR(Write(0, content_.size() / 2));
  if (doing_ != Doing::kSealing) return absl::OkStatus();
  LARDER_RETURN_IF_ERROR(Write(content_.size() / 2, content_.size()));
  base::ByteWriter seal;
  seal.U64(creating_.lease).U64(creating_.epoch).U64(content_.size()).U8(0);
  return raw_.Send(Op::kSeal, seal);
}

absl::Status BusyClient::BeginBatch() {
  const base::ByteSpan bytes = base::AsBytes(content_);
  const CreationOptions again{.overwrite = true};
  const std::array<std::pair<Op, base::ByteWriter>, kBatchItems> items = {
      std::pair{Op::kPut, PutOf(key_, bytes, again)}, std::pair{Op::kGet, GetOf(kSmallKey)},
      std::pair{Op::kPut, PutOf(kBusyKey, bytes)}, std::pair{Op::kGet, GetOf(kKeptKey)}};
  base::ByteWriter batch;
  batch.U16(kBatchItems);
  for (const auto& [op, payload] : items) {
    batch.U16(static_cast<uint16_t>(op)).U32(static_cast<uint32_t>(payload.size())).Raw(payload.bytes());
  }
  LARDER_RETURN_IF_ERROR(raw_.Send(Op::kBatch, batch));
  for (uint16_t answered = 0; answered < kBatchItems - 1;) {
    LARDER_ASSIGN_OR_RETURN(const RawClient::Record record, raw_.ReceiveReply());
    base::ByteReader in(record.payload);
    for (uint16_t n = in.U16(); n > 0; --n, ++answered) {
      const uint16_t item = in.U16();
      const uint32_t code = in.U32();
      in.Raw(in.U32());
      if (code != 0 || item == kWaitingItem || !in.ok()) {
        return absl::InternalError(fmt::format("item {} of the batch was answered with code {}", item, code));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status BusyClient::Write(uint64_t from, uint64_t to) {
  const base::ByteSpan all = base::AsBytes(content_);
  if (doing_ == Doing::kInlineWrite) return raw_.WriteInline(creating_, all.subspan(from, to - from));
  const bool ring = doing_ == Doing::kRingWrite;
  // In a window an object lies in its place; the ring is used again from its beginning.
  const uint64_t base = ring ? 0 : from;
  uint64_t begin = 0;
  for (const Memory& memory : memory_) {
    const base::MutableByteSpan part = memory.bytes();
    for (uint64_t at = std::max(begin, base); at < std::min(begin + part.size(), base + to - from); ++at) {
      part[at - begin] = all[from + at - base];
    }
    begin += part.size();
  }
  return raw_.WriteShared(creating_, ring, base, static_cast<uint32_t>(to - from));
}

absl::Status BusyClient::Finish() {
  if (doing_ == Doing::kConnecting) return raw_.Hello("default");
  if (doing_ == Doing::kSealing || doing_ == Doing::kBatch) return raw_.ReceiveReply().status();
  if (doing_ == Doing::kReading) {
    std::string found;
    for (const Memory& memory : memory_) found += base::AsText(memory.bytes());
    if (found != Pattern(kKeptKey, kKeptSize)) return absl::DataLossError("other bytes than were sealed");
    return raw_.Release(got_.lease);
  }
  if (doing_ == Doing::kWaiting) {
    LARDER_ASSIGN_OR_RETURN(const RawClient::Record reply, raw_.ReceiveReply());
    base::ByteReader in(reply.payload);
    Creating granted{.lease = in.U64()};
    granted.epoch = in.U64();
    return raw_.Discard(granted);
  }
  LARDER_RETURN_IF_ERROR(Write(content_.size() / 2, content_.size()));
  return raw_.Seal(creating_, content_.size());
}

void BusyClient::Scribble(std::byte value) const {
  if (!Creates(doing_)) return;
  for (const Memory& memory : memory_) std::ranges::fill(memory.bytes(), value);
}

uint32_t BusyClient::Crc() const {
  uint32_t crc = 0;
  for (const Memory& memory : memory_) crc = base::Crc32c(memory.bytes(), crc);
  return crc;
}

}  // namespace larder::cache_agent
