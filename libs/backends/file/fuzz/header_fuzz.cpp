#include <cstdlib>
#include <vector>

#include "larder/base/digest.h"
#include "src/header.h"

using namespace larder;

namespace {

using backends::file::kTrackedOffset;

// What decodes is what the same header encodes to, byte for byte; nothing else may happen, whatever the bytes.
void Check(base::ByteSpan bytes) {
  const auto header = backends::file::DecodeHeader(bytes);
  if (!header.ok()) return;
  const auto again = backends::file::EncodeHeader(*header);
  if (!again.ok() || std::memcmp(again->data(), bytes.data(), kTrackedOffset) != 0) std::abort();
  if (!header->info.tracked) return;
  const auto tracked = backends::file::EncodeTracked(*header->info.tracked);
  if (std::memcmp(tracked.data(), bytes.data() + kTrackedOffset, tracked.size()) != 0) std::abort();
}

// The checksums as they should be: else hardly an input would get past them.
void Mend(std::vector<std::byte>& bytes) {
  std::vector<std::byte> untracked(bytes.begin(), bytes.begin() + kTrackedOffset);
  untracked.resize(bytes.size());
  const uint32_t crc = base::Crc32c(base::ByteSpan(untracked).subspan(12));
  std::memcpy(bytes.data() + 8, &crc, sizeof crc);
  const uint32_t tracked = base::Crc32c(base::ByteSpan(bytes).subspan(kTrackedOffset, 16));
  std::memcpy(bytes.data() + kTrackedOffset + 16, &tracked, sizeof tracked);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const base::ByteSpan bytes = std::as_bytes(std::span(data, size));
  Check(bytes);
  std::vector<std::byte> mended(bytes.begin(), bytes.end());
  mended.resize(backends::file::kHeaderSize);
  Mend(mended);
  Check(mended);
  return 0;
}
