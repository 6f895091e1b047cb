#include "core/member_message.h"

#include "larder/base/codec.h"
#include "larder/base/status.h"

namespace larder::tracker {
namespace {

enum class Kind : uint8_t { kEntry = 1, kReplies = 2, kError = 3, kAlive = 4 };

void Write(base::ByteWriter& out, const ForwardedEntry& forwarded) {
  out.U8(static_cast<uint8_t>(Kind::kEntry)).U64(forwarded.id).Raw(base::AsBytes(forwarded.entry));
}

void Write(base::ByteWriter& out, const AliveQuestion& question) {
  out.U8(static_cast<uint8_t>(Kind::kAlive)).U64(question.id).U64(question.node.epoch.value).Str(question.node.node);
}

void Write(base::ByteWriter& out, const ForwardedReply& reply) {
  if (reply.replies.ok()) {
    out.U8(static_cast<uint8_t>(Kind::kReplies)).U64(reply.id).Raw(base::AsBytes(*reply.replies));
    return;
  }
  const absl::Status& status = reply.replies.status();
  out.U8(static_cast<uint8_t>(Kind::kError)).U64(reply.id).U8(static_cast<uint8_t>(status.code()));
  out.Str(base::Reason(status)).Str(base::Message(status));
}

absl::Status ReadError(base::ByteReader& in) {
  auto code = static_cast<absl::StatusCode>(in.U8());
  const std::string_view reason = in.Str();
  const std::string_view message = in.Str();
  if (code == absl::StatusCode::kOk || code > absl::StatusCode::kUnauthenticated) {
    in.Fail();
    code = absl::StatusCode::kInternal;
  }
  return base::MakeError(code, reason, message);
}

}  // namespace

std::string EncodeMemberMessage(const MemberMessage& message) {
  base::ByteWriter out;
  std::visit([&out](const auto& held) { Write(out, held); }, message);
  return std::string(base::AsText(out.bytes()));
}

absl::StatusOr<MemberMessage> DecodeMemberMessage(std::string_view bytes) {
  base::ByteReader in(base::AsBytes(bytes));
  const auto kind = static_cast<Kind>(in.U8());
  const uint64_t id = in.U64();
  const auto rest = [&] { return std::string(base::AsText(in.Raw(in.rest().size()))); };
  MemberMessage message;
  switch (kind) {
    case Kind::kEntry:
      message = ForwardedEntry{.id = id, .entry = rest()};
      break;
    case Kind::kReplies:
      message = ForwardedReply{.id = id, .replies = rest()};
      break;
    case Kind::kError:
      message = ForwardedReply{.id = id, .replies = ReadError(in)};
      break;
    case Kind::kAlive: {
      const NodeEpoch epoch{in.U64()};
      message = AliveQuestion{.id = id, .node = {.node = std::string(in.Str()), .epoch = epoch}};
      break;
    }
    default:
      in.Fail();
  }
  if (in.done()) return message;
  return base::InvalidArgument("BAD_MEMBER_MESSAGE", "{} bytes from a member: not as they are written", bytes.size());
}

}  // namespace larder::tracker
