#pragma once
#include <optional>

#include "larder/base/digest.h"

namespace larder::cli {

// The digest of bytes as they pass by, of one kind; of kind kNone it costs nothing. Not thread-safe.
class Digester {
 public:
  explicit Digester(base::Digest::Kind kind) : kind_(kind) {
    if (kind == base::Digest::Kind::kSha256) sha256_.emplace();
  }
  void Update(base::ByteSpan bytes) {
    if (kind_ == base::Digest::Kind::kCrc32c) crc32c_ = base::Crc32c(bytes, crc32c_);
    if (sha256_) sha256_->Update(bytes);
  }
  base::Digest Finish() {
    if (sha256_) return base::Sha256DigestOf(sha256_->Finish());
    return kind_ == base::Digest::Kind::kCrc32c ? base::Crc32cDigest(crc32c_) : base::Digest{};
  }

 private:
  const base::Digest::Kind kind_;
  uint32_t crc32c_ = 0;
  std::optional<base::Sha256> sha256_;
};

}  // namespace larder::cli
