#include "csi/mounter_wire.h"

#include <algorithm>
#include <cstring>

#include "larder/base/codec.h"
#include "larder/base/status.h"

namespace larder::cache_agent::csi {
namespace {

constexpr uint32_t kMagic = 0x544e4d4c;  // "LMNT"
constexpr size_t kUidSize = 40;
constexpr size_t kNameSize = 64;

absl::Status Bad(std::string_view what) {
  return base::InvalidArgument("BAD_RECORD", "not a record of the mounter's: {}", what);
}

void PutText(base::ByteWriter& out, std::string_view text, size_t size) {
  if (text.size() >= size) text = {};
  const std::vector<std::byte> zeros(size - text.size());
  out.Raw(base::AsBytes(text)).Raw(zeros);
}

// Its end, and nothing behind.
absl::StatusOr<std::string> TakeText(base::ByteReader& in, size_t size) {
  const std::string_view field = base::AsText(in.Raw(size));
  const std::string_view text = field.substr(0, field.find('\0'));
  if (text.size() == size || field.find_first_not_of('\0', text.size()) != std::string_view::npos) {
    return Bad("a text without an end");
  }
  return std::string(text);
}

template <size_t Size>
std::array<std::byte, Size> Whole(const base::ByteWriter& out) {
  std::array<std::byte, Size> record{};
  std::ranges::copy(out.bytes().first(Size), record.begin());
  return record;
}

bool IsZero(base::ByteSpan bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

MounterRequestRecord EncodeRequest(const MounterRequest& request) {
  base::ByteWriter out;
  out.U32(kMagic).U8(static_cast<uint8_t>(request.op)).U8(0).U16(0);
  PutText(out, request.place.pod_uid, kUidSize);
  PutText(out, request.place.name, kNameSize);
  return Whole<kMounterRequestSize>(out);
}

absl::StatusOr<MounterRequest> DecodeRequest(base::ByteSpan record) {
  if (record.size() != kMounterRequestSize) return Bad("another size");
  base::ByteReader in(record);
  if (in.U32() != kMagic) return Bad("another magic");
  MounterRequest request{.op = static_cast<MounterOp>(in.U8())};
  if (!IsZero(in.Raw(3))) return Bad("not zero");
  LARDER_ASSIGN_OR_RETURN(request.place.pod_uid, TakeText(in, kUidSize));
  LARDER_ASSIGN_OR_RETURN(request.place.name, TakeText(in, kNameSize));
  switch (request.op) {
    case MounterOp::kMount:
    case MounterOp::kUnmount:
    case MounterOp::kLook:
      if (!IsPlace(request.place)) return Bad("no place");
      return request;
    case MounterOp::kRegister:
    case MounterOp::kUnregister:
      if (request.place != Place{}) return Bad("a place of no use");
      return request;
  }
  return Bad("another operation");
}

MounterReplyRecord EncodeReply(const MounterReply& reply) {
  base::ByteWriter out;
  out.U32(kMagic).U32(static_cast<uint32_t>(reply.error)).U8(static_cast<uint8_t>(reply.state)).U8(0).U16(0);
  return Whole<kMounterReplySize>(out);
}

absl::StatusOr<MounterReply> DecodeReply(base::ByteSpan record) {
  if (record.size() != kMounterReplySize) return Bad("another size");
  base::ByteReader in(record);
  if (in.U32() != kMagic) return Bad("another magic");
  MounterReply reply{.error = static_cast<int32_t>(in.U32()), .state = static_cast<MountState>(in.U8())};
  if (!IsZero(in.rest()) || reply.error < 0 || reply.state > MountState::kOther) return Bad("out of bounds");
  return reply;
}

}  // namespace larder::cache_agent::csi
