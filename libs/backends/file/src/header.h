#pragma once
#include <absl/status/statusor.h>

#include <array>
#include <cstdint>

#include "larder/base/bytes.h"
#include "larder/object/object.h"

namespace larder::backends::file {

inline constexpr uint64_t kHeaderSize = 4096;
// At the header's end, and changed in place: what the cluster knows the object as. Has a checksum of its own.
inline constexpr uint64_t kTrackedSize = 20;
inline constexpr uint64_t kTrackedOffset = kHeaderSize - kTrackedSize;

// What a file says of its object. Layout: docs/formats/file-object.md.
struct Header {
  object::ObjectInfo info;    // ttl_left and pinned are not part of it
  int64_t sealed_at_ms = 0;   // wall clock, since 1970
  uint32_t crc32c = 0;        // of all bytes
  uint32_t table_crc32c = 0;  // of the grains' checksums
};

// INVALID_ARGUMENT (BAD_META) if key, tags and application together do not fit.
absl::StatusOr<std::array<std::byte, kHeaderSize>> EncodeHeader(const Header& header);
std::array<std::byte, kTrackedSize> EncodeTracked(const object::TrackedAs& tracked);
// A damaged `tracked` is none. DATA_LOSS (BAD_HEADER) unless `bytes` is a header as EncodeHeader makes it.
absl::StatusOr<Header> DecodeHeader(base::ByteSpan bytes);

}  // namespace larder::backends::file
