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
    case Doing::kIdle:
      return "Idle";
    case Doing::kCreating:
      return "Creating";
    case Doing::kInlineWrite:
      return "WritingInline";
    case Doing::kWindowWrite:
      return "WritingThroughAWindow";
    case Doing::kRingWrite:
      return "WritingThroughTheRing";
    case Doing::kWritten:
      return "Written";
    case Doing::kSealing:
      return "Sealing";
    case Doing::kInlineRead:
      return "ReadingInline";
    case Doing::kReading:
      return "Reading";
    case Doing::kStreamRead:
      return "ReadingAStream";
    case Doing::kReleasing:
      return "Releasing";
    case Doing::kDeleting:
      return "Deleting";
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
  return doing == Doing::kCreating || doing == Doing::kInlineWrite || doing == Doing::kWindowWrite ||
         doing == Doing::kRingWrite || doing == Doing::kWritten || doing == Doing::kSealing;
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
  if (doing == Doing::kBatch || doing == Doing::kDeleting) return 500;
  if (doing == Doing::kCreating || doing == Doing::kInlineWrite) return 96 * kKiB;
  if (doing == Doing::kRingWrite) return kMiB + 12345;
  return Creates(doing) ? 2 * kMiB + 12345 : 0;
}

absl::StatusOr<BusyClient> BusyClient::Begin(const std::filesystem::path& socket_dir, Doing doing,
                                             const std::string& key, const std::string& ns) {
  LARDER_ASSIGN_OR_RETURN(RawClient raw, RawClient::Dial(socket_dir));
  BusyClient busy(std::move(raw), doing, key);
  if (doing == Doing::kConnecting) return busy;
  LARDER_RETURN_IF_ERROR(busy.raw_.Hello(ns));
  absl::Status begun;
  if (Creates(doing)) {
    begun = busy.BeginCreation();
  } else if (doing == Doing::kWaiting) {
    begun = busy.raw_.Send(Op::kCreate, CreationOf(kBusyKey));
  } else if (doing == Doing::kDeleting) {
    begun = busy.BeginDelete();
  } else if (doing == Doing::kBatch) {
    begun = busy.BeginBatch();
  } else if (doing != Doing::kIdle) {
    begun = busy.BeginRead();
  }
  if (!begun.ok()) return begun;
  return busy;
}

absl::Status BusyClient::BeginRead() {
  if (doing_ == Doing::kInlineRead) return raw_.Send(Op::kGet, GetOf(kSmallKey));
  LARDER_ASSIGN_OR_RETURN(got_, raw_.Get(kKeptKey, doing_ == Doing::kStreamRead ? kNoDescriptors : 0));
  if (doing_ == Doing::kReleasing) return raw_.Send(Op::kRelease, base::ByteWriter().U64(got_.lease));
  if (doing_ == Doing::kReading && got_.shared.WithoutDescriptors()) {
    // There is none left to take it: as uds.md says, once more without.
    LARDER_RETURN_IF_ERROR(raw_.Release(got_.lease));
    doing_ = Doing::kStreamRead;
    LARDER_ASSIGN_OR_RETURN(got_, raw_.Get(kKeptKey, kNoDescriptors));
  }
  if (doing_ == Doing::kReading) {
    memory_ = MapAll(got_.shared, PROT_READ);
    Crc();  // every page is there
    return absl::OkStatus();
  }
  LARDER_ASSIGN_OR_RETURN(streamed_, raw_.Read(got_.lease, 0, kInlineLimit));
  return absl::OkStatus();
}

absl::Status BusyClient::BeginDelete() {
  LARDER_RETURN_IF_ERROR(raw_.Put(key_, base::AsBytes(content_), {.overwrite = true}));
  return raw_.Send(Op::kDelete, base::ByteWriter().Str(key_));
}

absl::Status BusyClient::BeginCreation() {
  LARDER_ASSIGN_OR_RETURN(creating_, raw_.Create(key_, {.size_hint = content_.size(), .overwrite = true}));
  if (doing_ == Doing::kCreating) return absl::OkStatus();
  if (doing_ != Doing::kInlineWrite) {
    const bool ring = doing_ == Doing::kRingWrite;
    const auto shared = raw_.Window(ring ? 0 : creating_.lease, ring ? kRingSize : content_.size());
    // Where there is none, or no descriptor to be had, it writes inline.
    if (!shared.ok() && !absl::IsResourceExhausted(shared.status())) return shared.status();
    if (shared.ok() && !shared->WithoutDescriptors()) memory_ = MapAll(*shared, PROT_READ | PROT_WRITE);
  }
  LARDER_RETURN_IF_ERROR(Write(0, content_.size() / 2));
  if (doing_ != Doing::kWritten && doing_ != Doing::kSealing) return absl::OkStatus();
  LARDER_RETURN_IF_ERROR(Write(content_.size() / 2, content_.size()));
  if (doing_ == Doing::kWritten) return absl::OkStatus();
  return raw_.Send(Op::kSeal, SealOf(creating_, content_.size()));
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

absl::Status BusyClient::WriteInline(base::ByteSpan bytes) const {
  for (size_t at = 0; at < bytes.size(); at += kInlineLimit) {
    LARDER_RETURN_IF_ERROR(raw_.WriteInline(creating_, bytes.subspan(at, std::min(kInlineLimit, bytes.size() - at))));
  }
  return absl::OkStatus();
}

absl::Status BusyClient::Write(uint64_t from, uint64_t to) {
  const base::ByteSpan all = base::AsBytes(content_);
  if (memory_.empty()) return WriteInline(all.subspan(from, to - from));
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

absl::Status BusyClient::FinishCreation() {
  if (doing_ == Doing::kSealing) return raw_.ReceiveReply().status();
  if (doing_ == Doing::kCreating) LARDER_RETURN_IF_ERROR(Write(0, content_.size() / 2));
  if (doing_ != Doing::kWritten) LARDER_RETURN_IF_ERROR(Write(content_.size() / 2, content_.size()));
  return raw_.Seal(creating_, content_.size(), base::Crc32cDigest(base::Crc32c(base::AsBytes(content_))));
}

absl::Status BusyClient::FinishRead() {
  if (doing_ == Doing::kInlineRead) {
    LARDER_ASSIGN_OR_RETURN(got_, raw_.ReceiveGot());
  }
  std::string found(base::AsText(got_.bytes));
  for (const Memory& memory : memory_) found += base::AsText(memory.bytes());
  found += base::AsText(streamed_);
  while (found.size() < got_.size) {
    const auto length = static_cast<uint32_t>(std::min<uint64_t>(kInlineLimit, got_.size - found.size()));
    LARDER_ASSIGN_OR_RETURN(const std::vector<std::byte> part, raw_.Read(got_.lease, found.size(), length));
    found += base::AsText(part);
  }
  const bool small = doing_ == Doing::kInlineRead;
  if (found != (small ? Pattern(kSmallKey, kSmallSize) : Pattern(kKeptKey, kKeptSize))) {
    return base::Error(absl::StatusCode::kDataLoss, "OTHER_BYTES", "other bytes than were sealed");
  }
  return small ? absl::OkStatus() : raw_.Release(got_.lease);
}

absl::Status BusyClient::Finish() {
  if (Creates(doing_)) return FinishCreation();
  switch (doing_) {
    case Doing::kConnecting:
      return raw_.Hello("default");
    case Doing::kIdle:
      return raw_.Ask(Op::kPing).status();
    case Doing::kInlineRead:
    case Doing::kReading:
    case Doing::kStreamRead:
      return FinishRead();
    case Doing::kWaiting: {
      LARDER_ASSIGN_OR_RETURN(const Creating granted, raw_.ReceiveCreating());
      return raw_.Discard(granted);
    }
    default:
      return raw_.ReceiveReply().status();  // what was asked was sent
  }
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
