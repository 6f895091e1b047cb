#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "src/wire.h"

// The payloads of docs/formats/uds.md that have several fields, both ways: Put appends one, Take takes one off a
// reader, whose ok() says whether it was there. Those of one key or lease need no function. Pure; nothing here trusts
// its input. What a ByteSpan shows is borrowed.
namespace larder::transport::uds {

struct HelloRequest {
  std::string ns;
  uint64_t earlier_bytes = 0;  // still mapped of earlier agents
  std::string client;
};
void PutHello(base::ByteWriter& out, const HelloRequest& hello);
HelloRequest TakeHello(base::ByteReader& in);

// HELLO's answer.
struct Welcome {
  uint64_t session = 0;
  std::string token;  // of this session, for calls on control.sock; kTokenSize bytes
  base::Duration lease_ttl{};
  uint32_t inline_limit = kInlineLimit;
  uint32_t piece_limit = kPieceLimit;
  std::string ns;
  std::string node;
  std::string version;  // of the agent
};
inline constexpr size_t kTokenSize = 16;
void PutWelcome(base::ByteWriter& out, const Welcome& welcome);
Welcome TakeWelcome(base::ByteReader& in);

// CREATE's answer, DISCARD, and how WRITE and SEAL begin.
struct CreationLease {
  object::LeaseId lease;
  object::Epoch epoch;
};
void PutCreationLease(base::ByteWriter& out, const CreationLease& creation);
CreationLease TakeCreationLease(base::ByteReader& in);

struct WindowRequest {
  object::LeaseId lease;  // 0: the connection's ring
  uint64_t size = 0;
};
void PutWindow(base::ByteWriter& out, const WindowRequest& window);
WindowRequest TakeWindow(base::ByteReader& in);

// WINDOW's and EXTENTS' answer, and what GET's form kShared ends with.
struct ExtentList {
  uint32_t total = 0;  // extents there are; those here may be only some
  std::vector<WireExtent> extents;
};
void PutExtentList(base::ByteWriter& out, const ExtentList& list);
ExtentList TakeExtentList(base::ByteReader& in);

struct WriteRequest {
  CreationLease creation;
  Source source = Source::kInline;
  base::ByteSpan bytes;  // inline ones; else where they are:
  uint64_t offset = 0;
  uint32_t length = 0;
};
void PutWrite(base::ByteWriter& out, const WriteRequest& write);
WriteRequest TakeWrite(base::ByteReader& in);  // an unknown source makes the reader fail

struct SealOrder {
  CreationLease creation;
  object::SealRequest request;
};
void PutSeal(base::ByteWriter& out, const SealOrder& seal);
SealOrder TakeSeal(base::ByteReader& in);

struct PutOrder {
  Creation creation;
  base::Digest expected;
  base::ByteSpan bytes;
};
void PutPut(base::ByteWriter& out, const PutOrder& put);
PutOrder TakePut(base::ByteReader& in);

struct GetRequest {
  uint32_t flags = 0;
  uint32_t wait_ms = 0;
  std::string key;
};
void PutGet(base::ByteWriter& out, const GetRequest& get);
GetRequest TakeGet(base::ByteReader& in);

// GET of some bytes. A number of 2^64-1 stands for none: `first` of the last bytes, `last` of those to the end.
struct GetRangeRequest {
  GetRequest get;
  object::ByteRange range;
};
void PutGetRange(base::ByteWriter& out, const GetRangeRequest& request);
GetRangeRequest TakeGetRange(base::ByteReader& in);

// GET's, and GET_RANGE's.
struct GetAnswer {
  object::LeaseId lease;
  object::ObjectInfo info;
  Form form = Form::kInline;
  base::ByteSpan bytes;  // of kInline
  ExtentList shared;     // of kShared
};
void PutGetAnswer(base::ByteWriter& out, const GetAnswer& answer);
GetAnswer TakeGetAnswer(base::ByteReader& in);  // an unknown form makes the reader fail

struct ReadRequest {
  object::LeaseId lease;
  uint64_t offset = 0;
  uint32_t length = 0;
};
void PutRead(base::ByteWriter& out, const ReadRequest& read);
ReadRequest TakeRead(base::ByteReader& in);

struct ExtentsRequest {
  object::LeaseId lease;
  uint32_t from = 0;
};
void PutExtentsRequest(base::ByteWriter& out, const ExtentsRequest& extents);
ExtentsRequest TakeExtentsRequest(base::ByteReader& in);

// In a LIST's limit: only what the node has. An agent that does not know it refuses such a limit.
inline constexpr uint32_t kListLocal = 1u << 31;
void PutList(base::ByteWriter& out, const object::ListRequest& list);
object::ListRequest TakeList(base::ByteReader& in);
// LIST's answer before its objects.
void PutListHead(base::ByteWriter& out, bool more, uint16_t objects);
object::ListPage TakeListPage(base::ByteReader& in);

struct PinRequest {
  bool pinned = false;
  std::string key;
};
void PutPin(base::ByteWriter& out, const PinRequest& pin);
PinRequest TakePin(base::ByteReader& in);

}  // namespace larder::transport::uds
