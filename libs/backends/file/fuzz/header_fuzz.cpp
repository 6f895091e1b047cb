#include <cstdlib>
#include <vector>

#include "larder/base/digest.h"
#include "src/header.h"

using namespace larder;

namespace {

// What decodes is what the same header encodes to, byte for byte; nothing else may happen, whatever the bytes.
void Check(base::ByteSpan bytes) {
  const auto header = backends::file::DecodeHeader(bytes);
  if (!header.ok()) return;
  const auto again = backends::file::EncodeHeader(*header);
  if (!again.ok() || std::memcmp(again->data(), bytes.data(), bytes.size()) != 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const base::ByteSpan bytes = std::as_bytes(std::span(data, size));
  Check(bytes);
  // Once more with length and checksum mended: else hardly an input would get past them.
  std::vector<std::byte> mended(bytes.begin(), bytes.end());
  mended.resize(backends::file::kHeaderSize);
  const uint32_t crc = base::Crc32c(base::ByteSpan(mended).subspan(12));
  std::memcpy(mended.data() + 8, &crc, sizeof crc);
  Check(mended);
  return 0;
}
