#pragma once
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "larder/base/bytes.h"

namespace larder::base {

static_assert(std::endian::native == std::endian::little, "records are little-endian; other machines need byte swaps");

// Builds a little-endian record without padding. A string is a u16 length and its bytes (at most 65,535).
class ByteWriter {
 public:
  template <std::unsigned_integral T>
  ByteWriter& U(T value) {
    return Raw(std::as_bytes(std::span(&value, 1)));
  }
  ByteWriter& U8(uint8_t v) { return U(v); }
  ByteWriter& U16(uint16_t v) { return U(v); }
  ByteWriter& U32(uint32_t v) { return U(v); }
  ByteWriter& U64(uint64_t v) { return U(v); }
  ByteWriter& I64(int64_t v) { return U(static_cast<uint64_t>(v)); }
  ByteWriter& Str(std::string_view text) {
    text = text.substr(0, 0xFFFF);
    return U16(static_cast<uint16_t>(text.size())).Raw(AsBytes(text));
  }
  ByteWriter& Raw(ByteSpan bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  // Overwrites four bytes written before.
  void PatchU32(size_t at, uint32_t value) { std::memcpy(buffer_.data() + at, &value, sizeof value); }

  size_t size() const { return buffer_.size(); }
  ByteSpan bytes() const { return buffer_; }
  void Clear() { buffer_.clear(); }

 private:
  std::vector<std::byte> buffer_;
};

// Reads what ByteWriter wrote, from bytes nobody trusts: past the end, values are zero and ok() is false from then on.
class ByteReader {
 public:
  explicit ByteReader(ByteSpan bytes) : rest_(bytes) {}

  template <std::unsigned_integral T>
  T U() {
    T value = 0;
    if (rest_.size() < sizeof value) {
      Fail();
    } else {
      std::memcpy(&value, rest_.data(), sizeof value);
      rest_ = rest_.subspan(sizeof value);
    }
    return value;
  }
  uint8_t U8() { return U<uint8_t>(); }
  uint16_t U16() { return U<uint16_t>(); }
  uint32_t U32() { return U<uint32_t>(); }
  uint64_t U64() { return U<uint64_t>(); }
  int64_t I64() { return static_cast<int64_t>(U<uint64_t>()); }
  // A view into the record.
  std::string_view Str() { return AsText(Raw(U16())); }
  ByteSpan Raw(size_t size) {
    if (rest_.size() < size) {
      Fail();
      return {};
    }
    const ByteSpan out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }
  ByteSpan rest() const { return rest_; }
  bool ok() const { return ok_; }
  // Everything was there, and nothing is left.
  bool done() const { return ok_ && rest_.empty(); }
  // What was read breaks a rule: as if the rest were missing.
  void Fail() {
    ok_ = false;
    rest_ = {};
  }

 private:
  ByteSpan rest_;
  bool ok_ = true;
};

}  // namespace larder::base
