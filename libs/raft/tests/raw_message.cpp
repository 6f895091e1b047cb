#include "tests/raw_message.h"

namespace larder::raft {
namespace {

// Fields of protobuf: a number that is 0 is not written.
class Fields {
 public:
  Fields& Number(uint64_t field, uint64_t value) {
    if (value != 0) Varint(field << 3).Varint(value);
    return *this;
  }
  Fields& Bytes(uint64_t field, std::string_view value) {
    Varint(field << 3 | 2).Varint(value.size());
    out_ += value;
    return *this;
  }
  const std::string& text() const { return out_; }

 private:
  Fields& Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
    return *this;
  }
  std::string out_;
};

}  // namespace

std::string Encode(const RawMessage& message) {
  Fields out;
  out.Number(1, static_cast<uint64_t>(message.kind)).Number(2, message.to).Number(3, message.from);
  out.Number(4, message.term).Number(5, message.log_term).Number(6, message.index);
  for (const LogEntry& entry : message.entries) {
    out.Bytes(7, Fields()
                     .Number(1, static_cast<uint64_t>(entry.kind))
                     .Number(2, entry.at.term)
                     .Number(3, entry.at.index)
                     .Bytes(4, entry.payload)
                     .text());
  }
  out.Number(8, message.commit);
  if (message.snapshot_index != 0) {
    Fields members;
    for (const uint64_t voter : message.snapshot_voters) members.Number(1, voter);
    const Fields meta =
        Fields().Bytes(1, members.text()).Number(2, message.snapshot_index).Number(3, message.snapshot_term);
    out.Bytes(9, Fields().Bytes(1, "manifest").Bytes(2, meta.text()).text());
  }
  return out.text();
}

}  // namespace larder::raft
