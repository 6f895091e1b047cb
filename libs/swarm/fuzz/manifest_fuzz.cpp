#include <cstdlib>

#include "larder/swarm/manifest.h"

using namespace larder;

// What decodes is sound, and encodes to the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const base::ByteSpan bytes = std::as_bytes(std::span(data, size));
  const auto manifest = swarm::DecodeManifest(bytes);
  if (!manifest.ok()) return 0;
  if (!swarm::CheckManifest(*manifest).ok()) std::abort();
  if (swarm::EncodeManifest(*manifest) != base::AsText(bytes)) std::abort();
  uint64_t total = 0;
  for (uint32_t piece = 0; piece < manifest->piece_count(); ++piece) total += manifest->SizeOf(piece);
  if (total != manifest->size) std::abort();
  return 0;
}
