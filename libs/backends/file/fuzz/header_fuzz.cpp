#include <cstdlib>

#include "src/header.h"

// A header that decodes encodes to itself; nothing else may happen, whatever the bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace larder;
  const auto header = backends::file::DecodeHeader(std::as_bytes(std::span(data, size)));
  if (!header.ok()) return 0;
  const auto again = backends::file::EncodeHeader(*header);
  if (!again.ok()) std::abort();
  const auto twice = backends::file::DecodeHeader(*again);
  if (!twice.ok() || twice->info.id != header->info.id || twice->crc32c != header->crc32c) std::abort();
  return 0;
}
