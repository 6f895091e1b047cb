#include "src/receive_buffer.h"

#include <algorithm>
#include <cstring>

namespace larder::resp {
namespace {

constexpr size_t kChunk = size_t{16} << 10;
constexpr size_t kWorthReading = 1024;  // less room than that costs more calls than it saves memory
// An announced length is believed only so far ahead of the bytes: a client must send to make us allocate.
constexpr size_t kMaxAhead = size_t{1} << 20;

}  // namespace

std::span<char> ReceiveBuffer::Room(size_t expected) {
  const size_t unused = end_ - begin_;
  if (unused == 0 && !lent_) begin_ = end_ = 0;
  if (capacity_ - end_ < kWorthReading) {
    const size_t ahead = std::clamp(expected > unused ? expected - unused : 0, kChunk, std::max(kMaxAhead, unused));
    auto memory = std::make_shared_for_overwrite<char[]>(unused + ahead);
    if (unused > 0) std::memcpy(memory.get(), memory_.get() + begin_, unused);
    memory_ = std::move(memory);
    capacity_ = unused + ahead;
    begin_ = 0;
    end_ = unused;
    lent_ = false;
  }
  return {memory_.get() + end_, capacity_ - end_};
}

}  // namespace larder::resp
