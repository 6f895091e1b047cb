#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/member_message.h"

// What is read is written as the same bytes: nothing has two forms.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto message = larder::tracker::DecodeMemberMessage(bytes);
  if (message.ok() && larder::tracker::EncodeMemberMessage(*message) != bytes) std::abort();
  return 0;
}
