#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "src/messages.h"
#include "src/wire.h"

// Any bytes as any record, seen from both ends: nothing but a typed error may come of them, and what decodes encodes to
// the same again.
namespace larder::transport::uds {
namespace {

using base::ByteReader;
using base::ByteWriter;

void Require(bool holds) {
  if (!holds) std::abort();
}

void RequireSame(const ByteWriter& out, base::ByteSpan payload) { Require(std::ranges::equal(out.bytes(), payload)); }

void Creations(base::ByteSpan payload) {
  ByteReader in(payload);
  const Creation creation = TakeCreation(in);
  if (!in.done() || creation.request.meta.tags.size() >= 0xFFFF) return;
  ByteWriter out;
  PutCreation(out, creation);
  ByteReader again(out.bytes());
  Require(TakeCreation(again).request.key == creation.request.key && again.done());
}

void Objects(base::ByteSpan payload) {
  ByteReader in(payload);
  const object::SealResult sealed = TakeSealed(in);
  if (!in.done()) return;
  ByteWriter out;
  PutSealed(out, sealed);
  ByteReader again(out.bytes());
  Require(TakeSealed(again).info.digest == sealed.info.digest && again.done());
}

void Extents(base::ByteSpan payload) {
  ByteReader in(payload);
  const std::vector<WireExtent> extents = TakeExtents(in);
  Require(!in.ok() || extents.size() * 32 + 2 <= payload.size());
}

void Batches(base::ByteSpan payload) {
  ByteReader in(payload);
  const std::vector<BatchItem> items = TakeBatch(in);
  if (in.done()) {
    Require(!items.empty() && items.size() <= kMaxBatch);
    ByteWriter out;
    PutBatch(out, items);
    RequireSame(out, payload);
  }
  ByteReader answers_in(payload);
  const std::vector<BatchAnswer> answers = TakeBatchAnswers(answers_in);
  if (answers_in.done()) {
    ByteWriter out;
    out.U16(static_cast<uint16_t>(answers.size()));
    for (const BatchAnswer& answer : answers) PutBatchAnswer(out, answer);
    RequireSame(out, payload);
  }
}

void Ranges(base::ByteSpan payload) {
  ByteReader in(payload);
  const GetRangeRequest request = TakeGetRange(in);
  if (!in.done()) return;
  ByteWriter out;
  PutGetRange(out, request);
  RequireSame(out, payload);
}

void Lists(base::ByteSpan payload) {
  ByteReader in(payload);
  const Unmapped unmapped = TakeUnmapped(in);
  if (in.done()) {
    ByteWriter out;
    PutUnmapped(out, unmapped);
    RequireSame(out, payload);
  }
  ByteReader segments_in(payload);
  const std::vector<uint32_t> segments = TakeSegments(segments_in);
  if (segments_in.done()) {
    ByteWriter out;
    PutSegments(out, segments);
    RequireSame(out, payload);
  }
  ByteReader leases_in(payload);
  const std::vector<object::LeaseId> leases = TakeLeases(leases_in);
  if (leases_in.done()) {
    ByteWriter out;
    PutLeases(out, leases);
    RequireSame(out, payload);
  }
}

}  // namespace
}  // namespace larder::transport::uds

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace uds = larder::transport::uds;
  const auto record = std::as_bytes(std::span(data, size));
  const auto header = uds::DecodeHeader(record);
  if (!header.ok()) return 0;
  const auto payload = record.subspan(uds::kHeaderSize);
  uds::Creations(payload);
  uds::Objects(payload);
  uds::Extents(payload);
  uds::Batches(payload);
  uds::Lists(payload);
  uds::Ranges(payload);
  if (header->code != 0) (void)uds::TakeError(header->code, payload).ok();
  return 0;
}
