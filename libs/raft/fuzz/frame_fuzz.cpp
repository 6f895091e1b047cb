#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "larder/base/digest.h"
#include "src/frames.h"

using namespace larder;

namespace {

constexpr uint64_t kLimit = 4096;

// What decodes is what the same frames encode to, byte for byte, however the bytes arrive.
void Check(base::ByteSpan bytes, size_t step) {
  raft::FrameDecoder decoder(kLimit);
  std::string again;
  for (size_t at = 0; at < bytes.size(); at += step) {
    decoder.Append(bytes.subspan(at, std::min(step, bytes.size() - at)));
    while (true) {
      const auto frame = decoder.Next();
      if (!frame.ok()) return;
      if (!*frame) break;
      const std::string& payload = (*frame)->payload;
      const raft::FrameHeader header = raft::HeaderOf((*frame)->group, (*frame)->kind, base::AsBytes(payload));
      again.append(base::AsText(header)).append(payload);
      const auto hello = raft::DecodeHello(payload);
      if (hello.ok() && hello->version == raft::kProtocolVersion && raft::EncodeHello(*hello) != payload) std::abort();
    }
  }
  if (again != base::AsText(bytes).substr(0, again.size())) std::abort();
}

// Mends the checksums, or hardly an input would get past the first.
std::vector<std::byte> Mended(base::ByteSpan bytes) {
  std::vector<std::byte> mended(bytes.begin(), bytes.end());
  for (size_t at = 0; at + raft::kFrameHeaderSize <= mended.size();) {
    uint32_t length = 0;
    std::memcpy(&length, mended.data() + at, sizeof length);
    if (length > mended.size() - at - raft::kFrameHeaderSize) break;
    const size_t size = raft::kFrameHeaderSize + length;
    const uint32_t crc = base::Crc32c(base::ByteSpan(mended).subspan(at + 8, size - 8));
    std::memcpy(mended.data() + at + 4, &crc, sizeof crc);
    at += size;
  }
  return mended;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t step = 1 + data[0];
  const base::ByteSpan bytes = std::as_bytes(std::span(data, size)).subspan(1);
  Check(bytes, step);
  Check(Mended(bytes), step);
  return 0;
}
