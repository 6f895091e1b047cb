#include "core/command.h"
#include "core/fields.h"
#include "core/reply.h"
#include "larder/base/codec.h"
#include "larder/base/status.h"

namespace larder::tracker {
namespace {

constexpr size_t kStampAt = 2;  // behind format and kind

// A batch's commands, or an entry's replies, are a kind and its fields each.
template <typename... Kinds>
uint8_t KindOf(const std::variant<Kinds...>& value) {
  return std::visit([](const auto& held) { return std::decay_t<decltype(held)>::kKind; }, value);
}

template <typename... Kinds>
void WriteFields(FieldWriter& write, const std::variant<Kinds...>& value) {
  std::visit([&write](const auto& held) { write(held); }, value);
}

// Fails the reader for a kind that is none.
template <typename... Kinds>
void ReadFields(base::ByteReader& in, uint8_t kind, std::variant<Kinds...>& value) {
  FieldReader read(in);
  const bool known = ((Kinds::kKind == kind && (read(value.template emplace<Kinds>()), true)) || ...);
  if (!known) in.Fail();
}

std::string Text(const base::ByteWriter& out) { return std::string(base::AsText(out.bytes())); }

}  // namespace

std::string EncodeEntry(const Entry& entry) {
  base::ByteWriter out;
  FieldWriter write(out);
  const bool single = entry.commands.size() == 1;
  out.U8(kEntryFormat).U8(single ? KindOf(entry.commands.front()) : kBatchKind);
  write(entry);
  if (!single) out.U32(static_cast<uint32_t>(entry.commands.size()));
  for (const Command& command : entry.commands) {
    if (!single) out.U8(KindOf(command));
    WriteFields(write, command);
  }
  return Text(out);
}

void StampEntry(std::string& entry, LogTime stamp) {
  base::ByteWriter out;
  out.U64(stamp.ns);
  entry.replace(kStampAt, sizeof(stamp.ns), base::AsText(out.bytes()));
}

absl::StatusOr<Entry> DecodeEntry(base::ByteSpan bytes) {
  base::ByteReader in(bytes);
  const uint8_t format = in.U8();
  const uint8_t kind = in.U8();
  if (in.ok() && format != kEntryFormat) {
    return base::Error(absl::StatusCode::kDataLoss, "BAD_ENTRY", "format {}, this program knows {}", format,
                       kEntryFormat);
  }
  Entry entry;
  FieldReader read(in);
  read(entry);
  if (kind != kBatchKind) {
    ReadFields(in, kind, entry.commands.emplace_back());
  } else {
    const uint32_t count = in.U32();
    // One has a form of its own: equal entries are equal bytes.
    if (count == 1 || count > kMaxBatch) in.Fail();
    for (uint32_t i = 0; i < count && in.ok(); ++i) ReadFields(in, in.U8(), entry.commands.emplace_back());
  }
  if (!in.done()) {
    return base::Error(absl::StatusCode::kDataLoss, "BAD_ENTRY", "{} bytes, kind {}: not as it is written",
                       bytes.size(), kind);
  }
  return entry;
}

std::string EncodeReplies(const std::vector<Reply>& replies) {
  base::ByteWriter out;
  FieldWriter write(out);
  out.U8(kReplyFormat).U32(static_cast<uint32_t>(replies.size()));
  for (const Reply& reply : replies) {
    out.U8(KindOf(reply));
    WriteFields(write, reply);
  }
  return Text(out);
}

absl::StatusOr<std::vector<Reply>> DecodeReplies(base::ByteSpan bytes) {
  base::ByteReader in(bytes);
  if (in.U8() != kReplyFormat) in.Fail();
  std::vector<Reply> replies;
  for (uint32_t left = in.U32(); left > 0 && in.ok(); --left) ReadFields(in, in.U8(), replies.emplace_back());
  if (!in.done()) {
    return base::Error(absl::StatusCode::kDataLoss, "BAD_REPLY", "{} bytes: not as they are written", bytes.size());
  }
  return replies;
}

}  // namespace larder::tracker
