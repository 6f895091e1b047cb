#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "larder/base/digest.h"
#include "larder/base/units.h"

using namespace larder;

// Any text as a size, a duration and a digest: a value or an error, and a value is written so that it reads the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bytes = base::ParseBytes(text); bytes.ok()) {
    if (base::ParseBytes(base::FormatBytesExact(*bytes)) != bytes) std::abort();
    (void)base::FormatBytes(*bytes);
  }
  if (const auto duration = base::ParseDuration(text); duration.ok()) {
    if (*duration < base::Duration::zero()) std::abort();
    if (base::ParseDuration(base::FormatDuration(*duration)) != duration) std::abort();
  }
  if (const auto digest = base::ParseDigest(text); digest.ok()) {
    if (base::ParseDigest(base::FormatDigest(*digest)) != digest) std::abort();
  }
  return 0;
}
