#include "tests/golden_payloads.h"

#include "larder/base/status.h"
#include "src/messages.h"
#include "tests/golden_fields.h"

namespace larder::transport::uds {
namespace {

using base::ByteReader;
using base::ByteWriter;

// ---- requests

// Of a range; the largest number stands for none.
std::optional<uint64_t> BoundOf(const Json& number) {
  const auto bound = number.get<uint64_t>();
  return bound == UINT64_MAX ? std::nullopt : std::optional(bound);
}

void EncodeRequest(Op op, const Json& f, ByteWriter& out) {
  const std::vector<std::byte> bytes = FromHex(f.value("bytes", ""));
  switch (op) {
    case Op::kHello:
      return PutHello(out, {.ns = f["namespace"], .earlier_bytes = f["earlier_bytes"], .client = f["client"]});
    case Op::kCreate:
      return PutCreation(out, CreationOf(f["creation"]));
    case Op::kWindow:
      return PutWindow(out, {.lease = {f["lease"]}, .size = f["size"]});
    case Op::kWrite:
      return PutWrite(out, {.creation = CreationLeaseOf(f),
                            .source = f["kind"],
                            .bytes = bytes,
                            .offset = f.value("offset", uint64_t{0}),
                            .length = f.value("length", uint32_t{0})});
    case Op::kSeal:
      return PutSeal(
          out, {.creation = CreationLeaseOf(f), .request = {.size = f["size"], .expected = DigestOf(f["expected"])}});
    case Op::kPut:
      return PutPut(out, {.creation = CreationOf(f["creation"]), .expected = DigestOf(f["expected"]), .bytes = bytes});
    case Op::kDiscard:
      return PutCreationLease(out, CreationLeaseOf(f));
    case Op::kGet:
      return PutGet(out, {.flags = f["flags"], .wait_ms = f["wait_ms"], .key = f["key"]});
    case Op::kGetRange:
      return PutGetRange(out, {.get = {.flags = f["flags"], .wait_ms = f["wait_ms"], .key = f["key"]},
                               .range = {.first = BoundOf(f["first"]), .last = BoundOf(f["last"])}});
    case Op::kRead:
      return PutRead(out, {.lease = {f["lease"]}, .offset = f["offset"], .length = f["length"]});
    case Op::kRelease:
      return (void)out.U64(f["lease"]);
    case Op::kUnmapped:
      return PutUnmapped(out, {.earlier_bytes = f["earlier_bytes"], .segments = f["segments"]});
    case Op::kStat:
    case Op::kDelete:
      return (void)out.Str(f["key"].get<std::string>());
    case Op::kList:
      return PutList(out, {.prefix = f["prefix"],
                           .after = f["after"],
                           .limit = f["limit"].get<uint32_t>() & ~kListLocal,
                           .local = f["limit"] > kListLocal});
    case Op::kPin:
      return PutPin(out, {.pinned = f["pinned"] == 1, .key = f["key"]});
    case Op::kExtents:
      return PutExtentsRequest(out, {.lease = {f["lease"]}, .from = f["from"]});
    case Op::kBatch:
      out.U16(static_cast<uint16_t>(f["items"].size()));
      for (const Json& item : f["items"]) PutBatchItem(out, item["op"], FromHex(item["payload"].get<std::string>()));
      return;
    case Op::kRenew:
    case Op::kPing:
    case Op::kRevoke:
    case Op::kLapsed:
      return;
  }
}

Json DecodeRequest(Op op, ByteReader& in) {
  switch (op) {
    case Op::kHello: {
      const HelloRequest hello = TakeHello(in);
      return {{"namespace", hello.ns}, {"earlier_bytes", hello.earlier_bytes}, {"client", hello.client}};
    }
    case Op::kCreate:
      return {{"creation", CreationJson(TakeCreation(in))}};
    case Op::kWindow: {
      const WindowRequest window = TakeWindow(in);
      return {{"lease", window.lease.value}, {"size", window.size}};
    }
    case Op::kWrite: {
      const WriteRequest write = TakeWrite(in);
      const Json rest = write.source == Source::kInline ? Json{{"bytes", ToHex(write.bytes)}}
                                                        : Json{{"offset", write.offset}, {"length", write.length}};
      return Merged(Merged(CreationLeaseJson(write.creation), {{"kind", write.source}}), rest);
    }
    case Op::kSeal: {
      const SealOrder seal = TakeSeal(in);
      return Merged(CreationLeaseJson(seal.creation),
                    {{"size", seal.request.size}, {"expected", DigestJson(seal.request.expected)}});
    }
    case Op::kPut: {
      const PutOrder put = TakePut(in);
      return {{"creation", CreationJson(put.creation)},
              {"expected", DigestJson(put.expected)},
              {"bytes", ToHex(put.bytes)}};
    }
    case Op::kDiscard:
      return CreationLeaseJson(TakeCreationLease(in));
    case Op::kGet: {
      const GetRequest get = TakeGet(in);
      return {{"flags", get.flags}, {"wait_ms", get.wait_ms}, {"key", get.key}};
    }
    case Op::kGetRange: {
      const GetRangeRequest request = TakeGetRange(in);
      return {{"flags", request.get.flags},
              {"wait_ms", request.get.wait_ms},
              {"key", request.get.key},
              {"first", request.range.first.value_or(UINT64_MAX)},
              {"last", request.range.last.value_or(UINT64_MAX)}};
    }
    case Op::kRead: {
      const ReadRequest read = TakeRead(in);
      return {{"lease", read.lease.value}, {"offset", read.offset}, {"length", read.length}};
    }
    case Op::kRelease:
      return {{"lease", in.U64()}};
    case Op::kUnmapped: {
      const Unmapped unmapped = TakeUnmapped(in);
      return {{"earlier_bytes", unmapped.earlier_bytes}, {"segments", unmapped.segments}};
    }
    case Op::kStat:
    case Op::kDelete:
      return {{"key", std::string(in.Str())}};
    case Op::kList: {
      const object::ListRequest list = TakeList(in);
      return {{"prefix", list.prefix}, {"after", list.after}, {"limit", list.limit + (list.local ? kListLocal : 0)}};
    }
    case Op::kPin: {
      const PinRequest pin = TakePin(in);
      return {{"pinned", pin.pinned ? 1 : 0}, {"key", pin.key}};
    }
    case Op::kExtents: {
      const ExtentsRequest extents = TakeExtentsRequest(in);
      return {{"lease", extents.lease.value}, {"from", extents.from}};
    }
    case Op::kBatch: {
      Json items = Json::array();
      for (const BatchItem& item : TakeBatch(in)) items.push_back({{"op", item.op}, {"payload", ToHex(item.payload)}});
      return {{"items", std::move(items)}};
    }
    case Op::kRenew:
    case Op::kPing:
    case Op::kRevoke:
    case Op::kLapsed:
      break;
  }
  return Json::object();
}

// ---- replies, and the agent's own

void EncodeReply(Op op, const Json& f, ByteWriter& out) {
  switch (op) {
    case Op::kHello:
      return PutWelcome(out, {.session = f["session"],
                              .token = std::string(base::AsText(FromHex(f["token"].get<std::string>()))),
                              .lease_ttl = std::chrono::milliseconds(f["lease_ttl_ms"].get<uint32_t>()),
                              .inline_limit = f["inline_limit"],
                              .piece_limit = f["piece_limit"],
                              .ns = f["namespace"],
                              .node = f["node"],
                              .version = f["agent_version"]});
    case Op::kCreate:
      return PutCreationLease(out, CreationLeaseOf(f));
    case Op::kWindow:
    case Op::kExtents:
      return PutExtentList(out, ExtentsOf(f));
    case Op::kWrite:
      return (void)out.U64(f["size"]);
    case Op::kSeal:
    case Op::kPut:
      return PutSealed(out, SealedOf(f["sealed"]));
    case Op::kGet:
    case Op::kGetRange: {
      const std::vector<std::byte> bytes = FromHex(f.value("bytes", ""));
      GetAnswer answer{.lease = {f["lease"]}, .info = ObjectOf(f["object"]), .form = f["form"], .bytes = bytes};
      if (answer.form == Form::kShared) answer.shared = ExtentsOf(f);
      return PutGetAnswer(out, answer);
    }
    case Op::kRead:
      return (void)out.Raw(FromHex(f["bytes"].get<std::string>()));
    case Op::kStat:
      return PutObject(out, ObjectOf(f["object"]));
    case Op::kList:
      PutListHead(out, f["more"] == 1, static_cast<uint16_t>(f["objects"].size()));
      for (const Json& object : f["objects"]) PutObject(out, ObjectOf(object));
      return;
    case Op::kBatch:
      out.U16(static_cast<uint16_t>(f["answers"].size()));
      for (const Json& answer : f["answers"]) {
        const std::vector<std::byte> payload = FromHex(answer["payload"].get<std::string>());
        PutBatchAnswer(out, {.item = answer["item"], .code = answer["code"], .payload = payload});
      }
      return;
    case Op::kRevoke:
      return PutSegments(out, f["segments"].get<std::vector<uint32_t>>());
    case Op::kRenew:
    case Op::kLapsed:
      return PutLeases(out, LeasesOf(f["leases"]));
    case Op::kDiscard:
    case Op::kRelease:
    case Op::kUnmapped:
    case Op::kDelete:
    case Op::kPin:
    case Op::kPing:
      return;
  }
}

Json DecodeReply(Op op, ByteReader& in) {
  switch (op) {
    case Op::kHello: {
      const Welcome welcome = TakeWelcome(in);
      return {{"session", welcome.session},
              {"token", ToHex(base::AsBytes(welcome.token))},
              {"lease_ttl_ms", std::chrono::duration_cast<std::chrono::milliseconds>(welcome.lease_ttl).count()},
              {"inline_limit", welcome.inline_limit},
              {"piece_limit", welcome.piece_limit},
              {"namespace", welcome.ns},
              {"node", welcome.node},
              {"agent_version", welcome.version}};
    }
    case Op::kCreate:
      return CreationLeaseJson(TakeCreationLease(in));
    case Op::kWindow:
    case Op::kExtents:
      return ExtentsJson(TakeExtentList(in));
    case Op::kWrite:
      return {{"size", in.U64()}};
    case Op::kSeal:
    case Op::kPut:
      return {{"sealed", SealedJson(TakeSealed(in))}};
    case Op::kGet:
    case Op::kGetRange: {
      const GetAnswer answer = TakeGetAnswer(in);
      Json json = {{"lease", answer.lease.value}, {"object", ObjectJson(answer.info)}, {"form", answer.form}};
      if (answer.form == Form::kInline) json["bytes"] = ToHex(answer.bytes);
      return answer.form == Form::kShared ? Merged(json, ExtentsJson(answer.shared)) : json;
    }
    case Op::kRead:
      return {{"bytes", ToHex(in.Raw(in.rest().size()))}};
    case Op::kStat:
      return {{"object", ObjectJson(TakeObject(in))}};
    case Op::kList: {
      const object::ListPage page = TakeListPage(in);
      Json objects = Json::array();
      for (const object::ObjectInfo& info : page.objects) objects.push_back(ObjectJson(info));
      return {{"more", page.more ? 1 : 0}, {"objects", std::move(objects)}};
    }
    case Op::kBatch: {
      Json answers = Json::array();
      for (const BatchAnswer& answer : TakeBatchAnswers(in)) {
        answers.push_back({{"item", answer.item}, {"code", answer.code}, {"payload", ToHex(answer.payload)}});
      }
      return {{"answers", std::move(answers)}};
    }
    case Op::kRevoke:
      return {{"segments", TakeSegments(in)}};
    case Op::kRenew:
    case Op::kLapsed:
      return LeasesJson(TakeLeases(in));
    case Op::kDiscard:
    case Op::kRelease:
    case Op::kUnmapped:
    case Op::kDelete:
    case Op::kPin:
    case Op::kPing:
      break;
  }
  return Json::object();
}

}  // namespace

std::optional<std::string_view> OpName(Op op) {
  switch (op) {
    case Op::kHello:
      return "HELLO";
    case Op::kCreate:
      return "CREATE";
    case Op::kWindow:
      return "WINDOW";
    case Op::kWrite:
      return "WRITE";
    case Op::kSeal:
      return "SEAL";
    case Op::kPut:
      return "PUT";
    case Op::kDiscard:
      return "DISCARD";
    case Op::kGet:
      return "GET";
    case Op::kRead:
      return "READ";
    case Op::kRelease:
      return "RELEASE";
    case Op::kRenew:
      return "RENEW";
    case Op::kUnmapped:
      return "UNMAPPED";
    case Op::kStat:
      return "STAT";
    case Op::kList:
      return "LIST";
    case Op::kDelete:
      return "DELETE";
    case Op::kPin:
      return "PIN";
    case Op::kPing:
      return "PING";
    case Op::kExtents:
      return "EXTENTS";
    case Op::kBatch:
      return "BATCH";
    case Op::kRevoke:
      return "REVOKE";
    case Op::kLapsed:
      return "LAPSED";
    case Op::kGetRange:
      return "GET_RANGE";
  }
  return std::nullopt;
}

std::vector<std::byte> EncodeFields(std::string_view kind, Op op, const Json& record) {
  ByteWriter out;
  const Json& fields = record["fields"];
  if (kind == "refusal") {
    PutError(out, base::MakeError(record["code"].get<absl::StatusCode>(), fields["reason"].get<std::string>(),
                                  fields["message"].get<std::string>()));
  } else {
    kind == "request" ? EncodeRequest(op, fields, out) : EncodeReply(op, fields, out);
  }
  return {out.bytes().begin(), out.bytes().end()};
}

absl::StatusOr<Json> DecodeFields(std::string_view kind, Op op, uint32_t code, base::ByteSpan payload) {
  if (kind == "refusal") {
    const absl::Status refusal = TakeError(code, payload);
    if (static_cast<uint32_t>(refusal.code()) != code) return refusal;
    return Json{{"reason", base::Reason(refusal)}, {"message", base::Message(refusal)}};
  }
  ByteReader in(payload);
  Json fields = kind == "request" ? DecodeRequest(op, in) : DecodeReply(op, in);
  LARDER_RETURN_IF_ERROR(Finished(in, kind));
  return fields;
}

}  // namespace larder::transport::uds
