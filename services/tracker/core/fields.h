#pragma once
#include <absl/status/status.h>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "core/ids.h"
#include "larder/base/codec.h"
#include "larder/base/digest.h"

namespace larder::tracker {

// How commands, replies and rows become bytes: a struct is its `kFields` in order, a string or a list a u32 count and
// what it holds, an optional a byte 0 or 1 and the value, an enumeration a byte not above its `kLast`.
template <typename T>
concept HasFields = requires { T::kFields; };

class FieldWriter {
 public:
  explicit FieldWriter(base::ByteWriter& out) : out_(out) {}

  void operator()(bool value) { out_.U8(value ? 1 : 0); }
  template <std::unsigned_integral T>
  void operator()(T value) {
    out_.U(value);
  }
  template <typename T>
    requires std::is_enum_v<T>
  void operator()(T value) {
    out_.U8(static_cast<uint8_t>(value));
  }
  template <typename Tag>
  void operator()(object::StrongId<Tag> id) {
    out_.U64(id.value);
  }
  void operator()(LogTime time) { out_.U64(time.ns); }
  void operator()(base::Duration duration) { out_.I64(duration.count()); }
  void operator()(const std::string& text) { out_.U32(static_cast<uint32_t>(text.size())).Raw(base::AsBytes(text)); }
  void operator()(const base::Digest& digest) {
    (*this)(digest.kind);
    if (digest.kind == base::Digest::Kind::kCrc32c) out_.U32(digest.crc32c);
    if (digest.kind == base::Digest::Kind::kSha256) out_.Raw(std::as_bytes(std::span(digest.sha256)));
  }
  void operator()(const ObjectId& id) {
    (*this)(id.ns);
    (*this)(id.key);
  }
  template <typename T>
  void operator()(const std::optional<T>& value) {
    (*this)(value.has_value());
    if (value) (*this)(*value);
  }
  template <typename T>
  void operator()(const std::vector<T>& values) {
    out_.U32(static_cast<uint32_t>(values.size()));
    for (const T& value : values) (*this)(value);
  }
  template <HasFields T>
  void operator()(const T& value) {
    std::apply([&](auto... member) { ((*this)(value.*member), ...); }, T::kFields);
  }

 private:
  base::ByteWriter& out_;
};

// Reads what FieldWriter wrote, from bytes nobody trusts: what is missing or breaks a rule fails the ByteReader, and no
// count makes it allocate more than the bytes that are there could fill.
class FieldReader {
 public:
  explicit FieldReader(base::ByteReader& in) : in_(in) {}

  void operator()(bool& value) {
    const uint8_t byte = in_.U8();
    if (byte > 1) in_.Fail();
    value = byte == 1;
  }
  template <std::unsigned_integral T>
  void operator()(T& value) {
    value = in_.U<T>();
  }
  template <typename T>
    requires std::is_enum_v<T>
  void operator()(T& value) {
    const uint8_t byte = in_.U8();
    if (byte > static_cast<uint8_t>(LastOf(value))) return in_.Fail();
    value = static_cast<T>(byte);
  }
  template <typename Tag>
  void operator()(object::StrongId<Tag>& id) {
    id.value = in_.U64();
  }
  void operator()(LogTime& time) { time.ns = in_.U64(); }
  void operator()(base::Duration& duration) {
    duration = base::Duration(in_.I64());
    if (duration < base::Duration::zero()) in_.Fail();
  }
  void operator()(std::string& text) { text = base::AsText(in_.Raw(in_.U32())); }
  void operator()(base::Digest& digest) {
    (*this)(digest.kind);
    if (digest.kind == base::Digest::Kind::kCrc32c) digest.crc32c = in_.U32();
    if (digest.kind != base::Digest::Kind::kSha256) return;
    const base::ByteSpan sha = in_.Raw(digest.sha256.size());
    std::copy(sha.begin(), sha.end(), std::as_writable_bytes(std::span(digest.sha256)).begin());
  }
  void operator()(ObjectId& id) {
    (*this)(id.ns);
    (*this)(id.key);
  }
  template <typename T>
  void operator()(std::optional<T>& value) {
    bool there = false;
    (*this)(there);
    if (there) (*this)(value.emplace());
  }
  template <typename T>
  void operator()(std::vector<T>& values) {
    for (uint32_t left = in_.U32(); left > 0 && in_.ok(); --left) (*this)(values.emplace_back());
  }
  template <HasFields T>
  void operator()(T& value) {
    std::apply([&](auto... member) { ((*this)(value.*member), ...); }, T::kFields);
  }

 private:
  static base::Digest::Kind LastOf(base::Digest::Kind) { return base::Digest::Kind::kSha256; }
  static absl::StatusCode LastOf(absl::StatusCode) { return absl::StatusCode::kUnauthenticated; }
  template <typename T>
  static T LastOf(T) {
    return T::kLast;
  }

  base::ByteReader& in_;
};

}  // namespace larder::tracker
