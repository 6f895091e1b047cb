#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/range.h"

using namespace larder;

// Any text as --range, on an object of any size (the first eight bytes): what is meant lies within the object.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint64_t object_size = 0;
  if (size < sizeof object_size) return 0;
  std::memcpy(&object_size, data, sizeof object_size);
  const auto range =
      cli::ParseRange(std::string_view(reinterpret_cast<const char*>(data), size).substr(sizeof object_size));
  if (!range.ok()) return 0;
  const auto extent = cli::ExtentOf(*range, object_size);
  if (!extent.ok()) return 0;
  if (extent->offset > object_size || extent->length > object_size - extent->offset) std::abort();
  return 0;
}
