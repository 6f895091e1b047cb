#include "src/wire.h"

#include <cstring>

#include "larder/base/status.h"

namespace larder::transport::uds {
namespace {

constexpr char kMagic[4] = {'L', 'R', 'D', '1'};
constexpr uint16_t kVersion = 1;
constexpr uint32_t kOverwrite = 1, kAcceptSame = 2, kWantSha = 4;
constexpr int64_t kMaxTtlMs = 100LL * 365 * 86400 * 1000;

int64_t Milliseconds(base::Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

void EncodeHeader(const Header& header, std::byte* out) {
  struct [[gnu::packed]] Raw {
    char magic[4];
    uint16_t version, op;
    uint64_t request_id;
    uint32_t length, code;
    uint64_t reserved;
  };
  static_assert(sizeof(Raw) == kHeaderSize);
  Raw raw{{}, kVersion, static_cast<uint16_t>(header.op), header.request_id, header.length, header.code, 0};
  std::memcpy(raw.magic, kMagic, sizeof kMagic);
  std::memcpy(out, &raw, sizeof raw);
}

absl::Status BadRecord(std::string_view what) {
  return base::InvalidArgument("BAD_RECORD", "the record is malformed: {}", what);
}

absl::Status Finished(const base::ByteReader& in, std::string_view what) {
  if (!in.ok()) return BadRecord(fmt::format("{} is cut off", what));
  if (!in.done()) return BadRecord(fmt::format("{} has {} bytes too many", what, in.rest().size()));
  return absl::OkStatus();
}

absl::StatusOr<Header> DecodeHeader(base::ByteSpan record) {
  base::ByteReader in(record);
  const base::ByteSpan magic = in.Raw(sizeof kMagic);
  const uint16_t version = in.U16();
  Header header;
  header.op = static_cast<Op>(in.U16());
  header.request_id = in.U64();
  header.length = in.U32();
  header.code = in.U32();
  in.U64();
  if (!in.ok()) return BadRecord("it is shorter than a header");
  if (std::memcmp(magic.data(), kMagic, sizeof kMagic) != 0) return BadRecord("it does not begin with LRD1");
  if (version != kVersion) return BadRecord(fmt::format("version {} is not known, {} is", version, kVersion));
  if (header.length != in.rest().size()) {
    return BadRecord(fmt::format("it says {} bytes and has {}", header.length, in.rest().size()));
  }
  return header;
}

void PutDigest(base::ByteWriter& out, const base::Digest& digest) {
  out.U8(static_cast<uint8_t>(digest.kind));
  if (digest.kind == base::Digest::Kind::kCrc32c) out.U32(digest.crc32c);
  if (digest.kind == base::Digest::Kind::kSha256) out.Raw(std::as_bytes(std::span(digest.sha256)));
}

base::Digest TakeDigest(base::ByteReader& in) {
  switch (const uint8_t kind = in.U8(); kind) {
    case 0:
      return {};
    case 1:
      return base::Crc32cDigest(in.U32());
    case 2: {
      base::Sha256Digest sha{};
      const base::ByteSpan raw = in.Raw(sha.size());
      if (raw.size() == sha.size()) std::memcpy(sha.data(), raw.data(), sha.size());
      return base::Sha256DigestOf(sha);
    }
    default:
      in.Fail();
      return {};
  }
}

void PutObject(base::ByteWriter& out, const object::ObjectInfo& info) {
  out.Str(info.id.key).U8(static_cast<uint8_t>(info.state)).U64(info.epoch.value).U64(info.size);
  PutDigest(out, info.digest);
  out.U32(info.meta.piece_length).I64(info.ttl_left ? Milliseconds(*info.ttl_left) : -1).U32(info.meta.wanted_replicas);
  out.U8(info.pinned ? 1 : 0).Str(info.tier).Str(info.meta.application);
  out.U16(static_cast<uint16_t>(info.meta.tags.size()));
  for (const std::string& tag : info.meta.tags) out.Str(tag);
}

object::ObjectInfo TakeObject(base::ByteReader& in) {
  object::ObjectInfo info;
  info.id.key = in.Str();
  info.state = static_cast<object::ObjectState>(in.U8());
  info.epoch.value = in.U64();
  info.size = in.U64();
  info.digest = TakeDigest(in);
  info.meta.piece_length = in.U32();
  if (const int64_t ttl = in.I64(); ttl >= 0) info.ttl_left = std::chrono::milliseconds(std::min(ttl, kMaxTtlMs));
  info.meta.wanted_replicas = in.U32();
  info.pinned = in.U8() != 0;
  info.tier = in.Str();
  info.meta.application = in.Str();
  for (uint16_t n = in.U16(); n > 0 && in.ok(); --n) info.meta.tags.emplace_back(in.Str());
  return info;
}

void PutSealed(base::ByteWriter& out, const object::SealResult& result) {
  PutObject(out, result.info);
  out.U8(static_cast<uint8_t>(result.ack)).U8(static_cast<uint8_t>(result.durability)).U8(result.existed ? 1 : 0);
}

object::SealResult TakeSealed(base::ByteReader& in) {
  object::SealResult result;
  result.info = TakeObject(in);
  result.ack = static_cast<object::AckPolicy>(in.U8());
  result.durability = static_cast<object::Durability>(in.U8());
  result.existed = in.U8() != 0;
  return result;
}

void PutCreation(base::ByteWriter& out, const Creation& creation) {
  const object::CreateRequest& request = creation.request;
  out.U32((request.overwrite ? kOverwrite : 0) | (request.accept_same_content ? kAcceptSame : 0) |
          (request.want_sha256 ? kWantSha : 0));
  out.U8(static_cast<uint8_t>(request.ack)).U8(static_cast<uint8_t>(request.ack_replicas));
  out.U16(static_cast<uint16_t>(request.meta.wanted_replicas)).U32(request.meta.piece_length).U64(request.size_hint);
  out.I64(request.meta.ttl ? Milliseconds(*request.meta.ttl) : -1).U32(creation.wait_ms);
  out.Str(request.key).Str(request.meta.application).U16(static_cast<uint16_t>(request.meta.tags.size()));
  for (const std::string& tag : request.meta.tags) out.Str(tag);
}

Creation TakeCreation(base::ByteReader& in) {
  Creation creation;
  object::CreateRequest& request = creation.request;
  const uint32_t flags = in.U32();
  request.overwrite = (flags & kOverwrite) != 0;
  request.accept_same_content = (flags & kAcceptSame) != 0;
  request.want_sha256 = (flags & kWantSha) != 0;
  request.ack = static_cast<object::AckPolicy>(in.U8());
  request.ack_replicas = in.U8();
  request.meta.wanted_replicas = in.U16();
  request.meta.piece_length = in.U32();
  request.size_hint = in.U64();
  if (const int64_t ttl = in.I64(); ttl >= 0) request.meta.ttl = std::chrono::milliseconds(std::min(ttl, kMaxTtlMs));
  creation.wait_ms = in.U32();
  request.key = in.Str();
  request.meta.application = in.Str();
  for (uint16_t n = in.U16(); n > 0 && in.ok(); --n) request.meta.tags.emplace_back(in.Str());
  return creation;
}

void PutExtents(base::ByteWriter& out, const std::vector<WireExtent>& extents) {
  out.U16(static_cast<uint16_t>(extents.size()));
  for (const WireExtent& e : extents) {
    out.U32(e.segment).U32(e.has_descriptor ? 1 : 0).U64(e.segment_size).U64(e.offset).U64(e.length);
  }
}

std::vector<WireExtent> TakeExtents(base::ByteReader& in) {
  std::vector<WireExtent> extents;
  for (uint16_t n = in.U16(); n > 0 && in.ok(); --n) {
    WireExtent e;
    e.segment = in.U32();
    e.has_descriptor = (in.U32() & 1) != 0;
    e.segment_size = in.U64();
    e.offset = in.U64();
    e.length = in.U64();
    extents.push_back(e);
  }
  return extents;
}

void PutSegments(base::ByteWriter& out, std::span<const uint32_t> segments) {
  out.U16(static_cast<uint16_t>(segments.size()));
  for (const uint32_t segment : segments) out.U32(segment);
}

std::vector<uint32_t> TakeSegments(base::ByteReader& in) {
  std::vector<uint32_t> segments;
  for (uint16_t n = in.U16(); n > 0 && in.ok(); --n) segments.push_back(in.U32());
  return segments;
}

void PutUnmapped(base::ByteWriter& out, const Unmapped& unmapped) {
  out.U64(unmapped.earlier_bytes);
  PutSegments(out, unmapped.segments);
}

Unmapped TakeUnmapped(base::ByteReader& in) {
  Unmapped unmapped;
  unmapped.earlier_bytes = in.U64();
  unmapped.segments = TakeSegments(in);
  return unmapped;
}

void PutLeases(base::ByteWriter& out, std::span<const object::LeaseId> leases) {
  out.U16(static_cast<uint16_t>(leases.size()));
  for (const object::LeaseId lease : leases) out.U64(lease.value);
}

std::vector<object::LeaseId> TakeLeases(base::ByteReader& in) {
  std::vector<object::LeaseId> leases;
  for (uint16_t n = in.U16(); n > 0 && in.ok(); --n) leases.push_back(object::LeaseId{in.U64()});
  return leases;
}

void PutBatch(base::ByteWriter& out, std::span<const BatchItem> items) {
  out.U16(static_cast<uint16_t>(items.size()));
  for (const BatchItem& item : items) PutBatchItem(out, item.op, item.payload);
}

void PutBatchItem(base::ByteWriter& out, Op op, base::ByteSpan head, base::ByteSpan tail) {
  out.U16(static_cast<uint16_t>(op)).U32(static_cast<uint32_t>(head.size() + tail.size())).Raw(head).Raw(tail);
}

std::vector<BatchItem> TakeBatch(base::ByteReader& in) {
  std::vector<BatchItem> items;
  const uint16_t count = in.U16();
  if (count == 0 || count > kMaxBatch) in.Fail();
  for (uint16_t n = 0; n < count && in.ok(); ++n) {
    BatchItem item{.op = static_cast<Op>(in.U16())};
    item.payload = in.Raw(in.U32());
    items.push_back(item);
  }
  return items;
}

void PutBatchAnswer(base::ByteWriter& out, const BatchAnswer& answer, base::ByteSpan tail) {
  out.U16(answer.item).U32(answer.code).U32(static_cast<uint32_t>(answer.payload.size() + tail.size()));
  out.Raw(answer.payload).Raw(tail);
}

std::vector<BatchAnswer> TakeBatchAnswers(base::ByteReader& in) {
  std::vector<BatchAnswer> answers;
  for (uint16_t n = in.U16(); n > 0 && in.ok(); --n) {
    BatchAnswer answer{.item = in.U16(), .code = in.U32()};
    answer.payload = in.Raw(in.U32());
    answers.push_back(answer);
  }
  return answers;
}

void PutError(base::ByteWriter& out, const absl::Status& status) {
  out.Str(base::Reason(status)).Str(base::Message(status));
}

absl::Status TakeError(uint32_t code, base::ByteSpan payload) {
  base::ByteReader in(payload);
  const std::string_view reason = in.Str();
  const std::string_view message = in.Str();
  if (!in.ok()) return BadRecord("an error without its words");
  return base::MakeError(static_cast<absl::StatusCode>(code), reason, message);
}

}  // namespace larder::transport::uds
