#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "larder/rpc/address.h"

using namespace larder;

// Any text as HOST:PORT: an address or an error, and an address is written so that it reads the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto address = rpc::ParseHostPort(std::string_view(reinterpret_cast<const char*>(data), size));
  if (address.ok() && rpc::ParseHostPort(rpc::FormatHostPort(*address)) != address) std::abort();
  return 0;
}
