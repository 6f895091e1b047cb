#pragma once
#include "larder/base/codec.h"
#include "larder/base/digest.h"

namespace larder::swarm {

// A digest as docs/formats/pieces.md has it: u8 kind, then 0, 4 or 32 bytes.
inline void WriteDigest(const base::Digest& digest, base::ByteWriter& out) {
  out.U8(static_cast<uint8_t>(digest.kind));
  if (digest.kind == base::Digest::Kind::kCrc32c) out.U32(digest.crc32c);
  if (digest.kind == base::Digest::Kind::kSha256) out.Raw(std::as_bytes(std::span(digest.sha256)));
}
inline base::Digest ReadDigest(base::ByteReader& in) {
  base::Digest digest;
  digest.kind = static_cast<base::Digest::Kind>(in.U8());
  switch (digest.kind) {
    case base::Digest::Kind::kNone:
      break;
    case base::Digest::Kind::kCrc32c:
      digest.crc32c = in.U32();
      break;
    case base::Digest::Kind::kSha256:
      if (const base::ByteSpan sha = in.Raw(digest.sha256.size()); in.ok()) {
        std::memcpy(digest.sha256.data(), sha.data(), sha.size());
      }
      break;
    default:
      in.Fail();
  }
  return digest;
}

}  // namespace larder::swarm
