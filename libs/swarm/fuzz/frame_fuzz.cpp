#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "larder/base/digest.h"
#include "larder/base/status.h"
#include "src/frames.h"

using namespace larder;

namespace {

// What decodes encodes to the same bytes.
void Check(const swarm::ControlFrame& frame, base::ByteSpan bytes) {
  std::string again;
  switch (frame.header.kind) {
    case swarm::FrameKind::kHello:
      if (const auto hello = swarm::DecodeHello(frame.payload); hello.ok()) again = swarm::Encode(*hello);
      break;
    case swarm::FrameKind::kOpen:
      if (const auto open = swarm::DecodeOpen(frame.payload, frame.header.flags); open.ok())
        again = swarm::Encode(*open);
      break;
    case swarm::FrameKind::kGet:
      if (const auto get = swarm::DecodeGet(frame.payload); get.ok()) again = swarm::Encode(*get);
      break;
    case swarm::FrameKind::kHave:
      if (const auto have = swarm::DecodeHave(frame.payload); have.ok()) again = swarm::Encode(*have);
      break;
    case swarm::FrameKind::kCancel:
      if (const auto cancel = swarm::DecodeCancel(frame.payload); cancel.ok()) again = swarm::Encode(*cancel);
      break;
    case swarm::FrameKind::kDoubt:
      if (const auto doubt = swarm::DecodeDoubt(frame.payload); doubt.ok()) again = swarm::Encode(*doubt);
      break;
    case swarm::FrameKind::kError:
      if (const auto error = swarm::DecodeError(frame.payload); error.ok()) {
        again = swarm::Encode(*error);
        if (swarm::StatusOf(*error).ok()) std::abort();
      }
      break;
    default:
      return;
  }
  // Flags say nothing in these kinds.
  if (!again.empty() && frame.header.flags == 0 && again != base::AsText(bytes.first(again.size()))) std::abort();
}

void Run(base::ByteSpan rest) {
  while (true) {
    const auto frame = swarm::NextControl(rest);
    if (!frame.ok() || !*frame) return;
    Check(**frame, rest);
    rest = rest.subspan(swarm::kHeaderSize + (*frame)->payload.size());
  }
}

// Mends the checksums, or hardly an input would get past the first.
std::vector<std::byte> Mended(base::ByteSpan bytes) {
  std::vector<std::byte> mended(bytes.begin(), bytes.end());
  for (size_t at = 0; at + swarm::kHeaderSize <= mended.size();) {
    uint32_t length = 0;
    std::memcpy(&length, mended.data() + at, sizeof length);
    if (length > mended.size() - at - swarm::kHeaderSize) break;
    const uint32_t crc = base::Crc32c(base::ByteSpan(mended).subspan(at + swarm::kHeaderSize, length));
    std::memcpy(mended.data() + at + 4, &crc, sizeof crc);
    at += swarm::kHeaderSize + length;
  }
  return mended;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const base::ByteSpan bytes = std::as_bytes(std::span(data, size));
  Run(bytes);
  Run(Mended(bytes));
  if (size >= swarm::kPieceFieldsSize) (void)swarm::DecodePiece(bytes.first(swarm::kPieceFieldsSize)).ok();
  return 0;
}
