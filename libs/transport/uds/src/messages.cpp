#include "src/messages.h"

namespace larder::transport::uds {
namespace {

base::ByteSpan TakeRest(base::ByteReader& in) { return in.Raw(in.rest().size()); }

}  // namespace

// A braced list takes its members in the order written, which is that of the fields.

void PutHello(base::ByteWriter& out, const HelloRequest& hello) {
  out.Str(hello.ns).U64(hello.earlier_bytes).Str(hello.client);
}
HelloRequest TakeHello(base::ByteReader& in) {
  return {.ns = std::string(in.Str()), .earlier_bytes = in.U64(), .client = std::string(in.Str())};
}

void PutWelcome(base::ByteWriter& out, const Welcome& welcome) {
  const auto ttl = std::chrono::duration_cast<std::chrono::milliseconds>(welcome.lease_ttl).count();
  out.U64(welcome.session).Raw(base::AsBytes(welcome.token)).U32(static_cast<uint32_t>(ttl));
  out.U32(welcome.inline_limit).U32(welcome.piece_limit).Str(welcome.ns).Str(welcome.node).Str(welcome.version);
}
Welcome TakeWelcome(base::ByteReader& in) {
  return {.session = in.U64(),
          .token = std::string(base::AsText(in.Raw(kTokenSize))),
          .lease_ttl = std::chrono::milliseconds(in.U32()),
          .inline_limit = in.U32(),
          .piece_limit = in.U32(),
          .ns = std::string(in.Str()),
          .node = std::string(in.Str()),
          .version = std::string(in.Str())};
}

void PutCreationLease(base::ByteWriter& out, const CreationLease& creation) {
  out.U64(creation.lease.value).U64(creation.epoch.value);
}
CreationLease TakeCreationLease(base::ByteReader& in) { return {.lease = {in.U64()}, .epoch = {in.U64()}}; }

void PutWindow(base::ByteWriter& out, const WindowRequest& window) { out.U64(window.lease.value).U64(window.size); }
WindowRequest TakeWindow(base::ByteReader& in) { return {.lease = {in.U64()}, .size = in.U64()}; }

void PutExtentList(base::ByteWriter& out, const ExtentList& list) {
  out.U32(list.total);
  PutExtents(out, list.extents);
}
ExtentList TakeExtentList(base::ByteReader& in) { return {.total = in.U32(), .extents = TakeExtents(in)}; }

void PutWrite(base::ByteWriter& out, const WriteRequest& write) {
  PutCreationLease(out, write.creation);
  out.U8(static_cast<uint8_t>(write.source));
  write.source == Source::kInline ? out.Raw(write.bytes) : out.U64(write.offset).U32(write.length);
}
WriteRequest TakeWrite(base::ByteReader& in) {
  WriteRequest write{.creation = TakeCreationLease(in), .source = static_cast<Source>(in.U8())};
  if (write.source > Source::kRing) in.Fail();
  if (write.source == Source::kInline) {
    write.bytes = TakeRest(in);
  } else {
    write.offset = in.U64();
    write.length = in.U32();
  }
  return write;
}

void PutSeal(base::ByteWriter& out, const SealOrder& seal) {
  PutCreationLease(out, seal.creation);
  PutDigest(out.U64(seal.request.size), seal.request.expected);
}
SealOrder TakeSeal(base::ByteReader& in) {
  return {.creation = TakeCreationLease(in), .request = {.size = in.U64(), .expected = TakeDigest(in)}};
}

void PutPut(base::ByteWriter& out, const PutOrder& put) {
  PutCreation(out, put.creation);
  PutDigest(out, put.expected);
  out.Raw(put.bytes);
}
PutOrder TakePut(base::ByteReader& in) {
  return {.creation = TakeCreation(in), .expected = TakeDigest(in), .bytes = TakeRest(in)};
}

void PutGet(base::ByteWriter& out, const GetRequest& get) { out.U32(get.flags).U32(get.wait_ms).Str(get.key); }
GetRequest TakeGet(base::ByteReader& in) {
  return {.flags = in.U32(), .wait_ms = in.U32(), .key = std::string(in.Str())};
}

void PutGetRange(base::ByteWriter& out, const GetRangeRequest& request) {
  PutGet(out, request.get);
  out.U64(request.range.first.value_or(UINT64_MAX)).U64(request.range.last.value_or(UINT64_MAX));
}
GetRangeRequest TakeGetRange(base::ByteReader& in) {
  GetRangeRequest request{.get = TakeGet(in), .range = {.first = in.U64(), .last = in.U64()}};
  if (request.range.first == UINT64_MAX) request.range.first.reset();
  if (request.range.last == UINT64_MAX) request.range.last.reset();
  return request;
}

void PutGetAnswer(base::ByteWriter& out, const GetAnswer& answer) {
  out.U64(answer.lease.value);
  PutObject(out, answer.info);
  out.U8(static_cast<uint8_t>(answer.form));
  if (answer.form == Form::kInline) out.Raw(answer.bytes);
  if (answer.form == Form::kShared) PutExtentList(out, answer.shared);
}
GetAnswer TakeGetAnswer(base::ByteReader& in) {
  GetAnswer answer{.lease = {in.U64()}, .info = TakeObject(in), .form = static_cast<Form>(in.U8())};
  if (answer.form > Form::kStream) in.Fail();
  if (answer.form == Form::kInline) answer.bytes = TakeRest(in);
  if (answer.form == Form::kShared) answer.shared = TakeExtentList(in);
  return answer;
}

void PutRead(base::ByteWriter& out, const ReadRequest& read) {
  out.U64(read.lease.value).U64(read.offset).U32(read.length);
}
ReadRequest TakeRead(base::ByteReader& in) { return {.lease = {in.U64()}, .offset = in.U64(), .length = in.U32()}; }

void PutExtentsRequest(base::ByteWriter& out, const ExtentsRequest& extents) {
  out.U64(extents.lease.value).U32(extents.from);
}
ExtentsRequest TakeExtentsRequest(base::ByteReader& in) { return {.lease = {in.U64()}, .from = in.U32()}; }

void PutList(base::ByteWriter& out, const object::ListRequest& list) {
  out.Str(list.prefix).Str(list.after).U32((list.local ? kListLocal : 0) | (list.limit & ~kListLocal));
}
object::ListRequest TakeList(base::ByteReader& in) {
  object::ListRequest list{.prefix = std::string(in.Str()), .after = std::string(in.Str())};
  const uint32_t limit = in.U32();
  list.limit = limit & ~kListLocal;
  list.local = (limit & kListLocal) != 0;
  return list;
}

void PutListHead(base::ByteWriter& out, bool more, uint16_t objects) { out.U8(more ? 1 : 0).U16(objects); }
object::ListPage TakeListPage(base::ByteReader& in) {
  object::ListPage page;
  page.more = in.U8() != 0;
  for (uint16_t n = in.U16(); n > 0 && in.ok(); --n) page.objects.push_back(TakeObject(in));
  return page;
}

void PutPin(base::ByteWriter& out, const PinRequest& pin) { out.U8(pin.pinned ? 1 : 0).Str(pin.key); }
PinRequest TakePin(base::ByteReader& in) { return {.pinned = in.U8() != 0, .key = std::string(in.Str())}; }

}  // namespace larder::transport::uds
