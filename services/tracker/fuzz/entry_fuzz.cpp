#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/command.h"
#include "core/reply.h"

using namespace larder;

// Any bytes as an entry and as replies: what is accepted is written again as the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const base::ByteSpan bytes = std::as_bytes(std::span(data, size));
  if (const auto entry = tracker::DecodeEntry(bytes); entry.ok()) {
    if (tracker::EncodeEntry(*entry) != base::AsText(bytes)) std::abort();
  }
  if (const auto replies = tracker::DecodeReplies(bytes); replies.ok()) {
    if (tracker::EncodeReplies(*replies) != base::AsText(bytes)) std::abort();
  }
  return 0;
}
