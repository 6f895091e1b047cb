#pragma once
#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "larder/base/bytes.h"

namespace larder::base {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`, going on from `crc` (0 to begin). By ISA-L.
uint32_t Crc32c(ByteSpan bytes, uint32_t crc = 0);
// The CRC-32C of two stretches in a row, from that of each; `length` is the second's, in bytes.
uint32_t Crc32cCombine(uint32_t first, uint32_t second, uint64_t length);

using Sha256Digest = std::array<uint8_t, 32>;

// Streaming SHA-256 (FIPS 180-4), by OpenSSL. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void Update(ByteSpan bytes);
  // The digest of all bytes so far; the object is then as new.
  Sha256Digest Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A digest as users read it: "sha256:<64 hex>" or "crc32c:<8 hex>".
struct Digest {
  enum class Kind : uint8_t { kNone = 0, kCrc32c = 1, kSha256 = 2 };
  Kind kind = Kind::kNone;
  uint32_t crc32c = 0;
  Sha256Digest sha256{};
  bool operator==(const Digest&) const = default;
};

Digest Crc32cDigest(uint32_t crc);
Digest Sha256DigestOf(const Sha256Digest& sha);
// Empty for kNone.
std::string FormatDigest(const Digest& digest);
// INVALID_ARGUMENT (BAD_DIGEST) unless `text` is one of the two forms, lower or upper case hex.
absl::StatusOr<Digest> ParseDigest(std::string_view text);

}  // namespace larder::base
