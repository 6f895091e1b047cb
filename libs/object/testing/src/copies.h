#pragma once
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/units.h"
#include "larder/object/testing/peer_contract.h"

// What tests of copies of other nodes' objects share.
namespace larder::object {

inline constexpr uint32_t kPart = 256 * base::kKiB;

inline ObjectInfo Told(const std::string& key, base::ByteSpan bytes) {
  return {.id = {"team-a", key},
          .state = ObjectState::kSealed,
          .epoch = {77},
          .size = bytes.size(),
          .digest = base::Crc32cDigest(base::Crc32c(bytes)),
          .meta = {.tags = {"t"}, .piece_length = kPart},
          .pinned = true,
          .tracked = TrackedAs{{3}, {5}}};
}

using CopyPtr = std::unique_ptr<IncomingCopy>;

inline absl::StatusOr<CopyPtr> Receive(Peer& peer, const ObjectInfo& info) {
  absl::StatusOr<CopyPtr> got = absl::InternalError("no answer came");
  peer.Receive(info, base::Deadline(), [&got](absl::StatusOr<CopyPtr> copy) { got = std::move(copy); });
  return got;
}

// With those of its parts that have not come, up to `parts`.
inline void Fill(IncomingCopy& copy, base::ByteSpan bytes, uint64_t parts = UINT64_MAX) {
  for (uint64_t at = 0; at < bytes.size() && at / kPart < parts;) {
    if (at / kPart < copy.kept().size() && copy.kept()[at / kPart]) {
      at += kPart;
      continue;
    }
    const base::MutableByteSpan place = copy.At(at, std::min<uint64_t>(bytes.size() - at, kPart - at % kPart));
    ASSERT_FALSE(place.empty());
    std::memcpy(place.data(), bytes.data() + at, place.size());
    at += place.size();
    if (at % kPart == 0 || at == bytes.size()) {
      ASSERT_THAT(copy.Keep(static_cast<uint32_t>((at - 1) / kPart)), base::IsOk());
      std::byte last{};
      ASSERT_THAT(copy.ReadKept(at - 1, {&last, 1}), base::IsOk());
      ASSERT_EQ(last, bytes[at - 1]);
    }
  }
}

inline absl::StatusOr<ObjectInfo> Seal(IncomingCopy& copy, base::ByteSpan bytes) {
  Answer<absl::StatusOr<ObjectInfo>> sealed;
  copy.Seal(base::Crc32c(bytes), sealed.Slot());
  return sealed.Get();
}

}  // namespace larder::object
