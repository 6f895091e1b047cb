#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace larder::object {

// Numbers that must not be mixed up. 0 means none.
template <typename Tag>
struct StrongId {
  uint64_t value = 0;
  auto operator<=>(const StrongId&) const = default;
};
using Epoch = StrongId<struct EpochTag>;        // one creation of a key; grows, never repeats
using BlobId = StrongId<struct BlobIdTag>;      // what a key names in a cluster; a rename keeps it
using LeaseId = StrongId<struct LeaseTag>;      // unique within one agent's life
using SessionId = StrongId<struct SessionTag>;  // one connection's identity, ditto

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);

// A namespace is a DNS label: 1..63 of a-z 0-9 and '-', a letter or digit at both ends.
// INVALID_ARGUMENT (BAD_NAMESPACE) otherwise.
absl::Status CheckNamespace(std::string_view ns);

// A key: 1..1024 bytes of UTF-8, segments of 1..255 bytes parted by '/', none of them '.' or '..', no NUL.
// INVALID_ARGUMENT (BAD_KEY) otherwise, saying which rule.
absl::Status CheckKey(std::string_view key);

// An object's full name. Plain data; hold only checked values in it.
struct ObjectId {
  std::string ns;
  std::string key;
  auto operator<=>(const ObjectId&) const = default;
};

}  // namespace larder::object

template <typename Tag>
struct std::hash<larder::object::StrongId<Tag>> {
  size_t operator()(const larder::object::StrongId<Tag>& id) const noexcept { return std::hash<uint64_t>()(id.value); }
};
