#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/base/codec.h"
#include "larder/object/peer.h"

// The records of docs/formats/uds.md. Pure; nothing here trusts its input.
namespace larder::transport::uds {

enum class Op : uint16_t {
  kHello = 1,
  kCreate = 2,
  kWindow = 3,
  kWrite = 4,
  kSeal = 5,
  kPut = 6,
  kDiscard = 7,
  kGet = 8,
  kRead = 9,
  kRelease = 10,
  kRenew = 11,
  kUnmapped = 12,
  kStat = 13,
  kList = 14,
  kDelete = 15,
  kPin = 16,
  kPing = 17,
  kExtents = 18,
  kBatch = 19,
  kRevoke = 20,  // the agent's own
  kLapsed = 21,  // the agent's own
  kGetRange = 22,
};

inline constexpr size_t kHeaderSize = 32;
inline constexpr size_t kMaxRecord = 96 * 1024;
inline constexpr size_t kMaxFirstRecord = 4096;  // before HELLO
inline constexpr uint32_t kInlineLimit = 64 * 1024;
inline constexpr uint32_t kPieceLimit = 4 * 1024 * 1024;  // of one WRITE from a window
inline constexpr uint64_t kRingLimit = 16 * 1024 * 1024;
inline constexpr size_t kMaxExtents = 64;  // per record
inline constexpr size_t kMaxWaiting = 64;  // creations of one connection that wait for other creators
inline constexpr size_t kMaxBatch = 64;    // items of one BATCH
inline constexpr uint32_t kNoWaitLimit = 0xFFFFFFFF;
inline constexpr std::string_view kSocketName = "data.sock";

struct Header {
  Op op{};
  uint64_t request_id = 0;
  uint32_t length = 0;
  uint32_t code = 0;
};
void EncodeHeader(const Header& header, std::byte* out);
// INVALID_ARGUMENT (BAD_RECORD) unless `record` is a header and exactly its payload.
absl::StatusOr<Header> DecodeHeader(base::ByteSpan record);

void PutDigest(base::ByteWriter& out, const base::Digest& digest);
base::Digest TakeDigest(base::ByteReader& in);  // an unknown kind makes the reader fail
void PutObject(base::ByteWriter& out, const object::ObjectInfo& info);
object::ObjectInfo TakeObject(base::ByteReader& in);
void PutSealed(base::ByteWriter& out, const object::SealResult& result);
object::SealResult TakeSealed(base::ByteReader& in);

struct Creation {
  object::CreateRequest request;
  uint32_t wait_ms = kNoWaitLimit;
};
void PutCreation(base::ByteWriter& out, const Creation& creation);
Creation TakeCreation(base::ByteReader& in);

struct WireExtent {
  uint32_t segment = 0;
  bool has_descriptor = false;
  uint64_t segment_size = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
};
void PutExtents(base::ByteWriter& out, const std::vector<WireExtent>& extents);
std::vector<WireExtent> TakeExtents(base::ByteReader& in);

// UNMAPPED's payload, and that of REVOKE without the first field.
struct Unmapped {
  uint64_t earlier_bytes = 0;  // still mapped of earlier agents
  std::vector<uint32_t> segments;
};
void PutUnmapped(base::ByteWriter& out, const Unmapped& unmapped);
Unmapped TakeUnmapped(base::ByteReader& in);
void PutSegments(base::ByteWriter& out, std::span<const uint32_t> segments);
std::vector<uint32_t> TakeSegments(base::ByteReader& in);
// LAPSED's payload, and RENEW's answer.
void PutLeases(base::ByteWriter& out, std::span<const object::LeaseId> leases);
std::vector<object::LeaseId> TakeLeases(base::ByteReader& in);

// One request of a BATCH; the payload is borrowed.
struct BatchItem {
  Op op{};
  base::ByteSpan payload;
};
void PutBatch(base::ByteWriter& out, std::span<const BatchItem> items);
// One item of it, after their number; its payload is `head` and `tail`.
void PutBatchItem(base::ByteWriter& out, Op op, base::ByteSpan head, base::ByteSpan tail = {});
inline constexpr size_t kBatchItemOverhead = 6;  // bytes beside the payload
// More than kMaxBatch items, or none, make the reader fail.
std::vector<BatchItem> TakeBatch(base::ByteReader& in);
// One answer of a BATCH; the payload is borrowed.
struct BatchAnswer {
  uint16_t item = 0;
  uint32_t code = 0;
  base::ByteSpan payload;
};
inline constexpr size_t kBatchAnswerOverhead = 10;  // bytes beside the payload
// `tail` follows the payload as part of it.
void PutBatchAnswer(base::ByteWriter& out, const BatchAnswer& answer, base::ByteSpan tail = {});
std::vector<BatchAnswer> TakeBatchAnswers(base::ByteReader& in);

void PutError(base::ByteWriter& out, const absl::Status& status);
absl::Status TakeError(uint32_t code, base::ByteSpan payload);

absl::Status BadRecord(std::string_view what);
// OK if everything was there and nothing is left; BAD_RECORD naming `what` otherwise.
absl::Status Finished(const base::ByteReader& in, std::string_view what);

// Where the bytes of a WRITE are.
enum class Source : uint8_t { kInline = 0, kWindow = 1, kRing = 2 };
enum class Form : uint8_t { kInline = 0, kShared = 1, kStream = 2 };
inline constexpr uint32_t kGetNoDescriptors = 1;

}  // namespace larder::transport::uds
