#include "larder/base/digest.h"

#include <fmt/format.h>
#include <isa-l/crc.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "larder/base/status.h"

namespace larder::base {
namespace {

constexpr std::string_view kCrcPrefix = "crc32c:";
constexpr std::string_view kShaPrefix = "sha256:";

std::optional<uint8_t> HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

bool ParseHex(std::string_view hex, std::span<uint8_t> out) {
  if (hex.size() != out.size() * 2) return false;
  for (size_t i = 0; i < out.size(); ++i) {
    const auto high = HexValue(hex[2 * i]);
    const auto low = HexValue(hex[2 * i + 1]);
    if (!high || !low) return false;
    out[i] = static_cast<uint8_t>(*high << 4 | *low);
  }
  return true;
}

// Polynomials over GF(2) modulo Castagnoli's, reflected as its checksums are: bit 31 is x^0.
constexpr uint32_t kCastagnoli = 0x82F63B78;
constexpr uint32_t kOne = uint32_t{1} << 31;

constexpr uint32_t MultiplyPolynomials(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = kOne; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b & 1) != 0 ? (b >> 1) ^ kCastagnoli : b >> 1;
  }
  return product;
}

// x^(2^i) for each i; from i = 31 on they come again, as x^(2^31) is x.
constexpr std::array<uint32_t, 31> kSquares = [] {
  std::array<uint32_t, 31> squares{};
  uint32_t power = kOne >> 1;
  for (uint32_t& square : squares) {
    square = power;
    power = MultiplyPolynomials(power, power);
  }
  return squares;
}();

// OpenSSL's SHA-256 fails only without memory or without its default provider: nothing a caller can handle.
void Check(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

uint32_t Crc32c(ByteSpan bytes, uint32_t crc) {
  // ISA-L leaves the inversions before and after to the caller, and takes an int length and a pointer to non-const.
  constexpr size_t kMost = size_t{1} << 30;
  uint32_t state = ~crc;
  while (!bytes.empty()) {
    const ByteSpan part = bytes.first(std::min(bytes.size(), kMost));
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(part.data()));
    state = crc32_iscsi(data, static_cast<int>(part.size()), state);
    bytes = bytes.subspan(part.size());
  }
  return ~state;
}

uint32_t Crc32cCombine(uint32_t first, uint32_t second, uint64_t length) {
  uint32_t shift = kOne;  // x to the power of the second's bits
  for (size_t i = 3; length != 0; ++i, length >>= 1) {
    if ((length & 1) != 0) shift = MultiplyPolynomials(kSquares[i % kSquares.size()], shift);
  }
  return MultiplyPolynomials(shift, first) ^ second;
}

struct Sha256::Impl {
  Impl() { Check(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1); }
  ~Impl() { EVP_MD_CTX_free(context); }
  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(ByteSpan bytes) { Check(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) == 1); }

Sha256Digest Sha256::Finish() {
  Sha256Digest digest{};
  Check(EVP_DigestFinal_ex(impl_->context, digest.data(), nullptr) == 1);
  Check(EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) == 1);
  return digest;
}

Digest Crc32cDigest(uint32_t crc) { return {.kind = Digest::Kind::kCrc32c, .crc32c = crc}; }

Digest Sha256DigestOf(const Sha256Digest& sha) { return {.kind = Digest::Kind::kSha256, .sha256 = sha}; }

std::string FormatDigest(const Digest& digest) {
  switch (digest.kind) {
    case Digest::Kind::kNone:
      return {};
    case Digest::Kind::kCrc32c:
      return fmt::format("{}{:08x}", kCrcPrefix, digest.crc32c);
    case Digest::Kind::kSha256:
      break;
  }
  std::string text(kShaPrefix);
  for (const uint8_t byte : digest.sha256) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

absl::StatusOr<Digest> ParseDigest(std::string_view text) {
  if (text.starts_with(kShaPrefix)) {
    Sha256Digest sha{};
    if (ParseHex(text.substr(kShaPrefix.size()), sha)) return Sha256DigestOf(sha);
  } else if (text.starts_with(kCrcPrefix)) {
    std::array<uint8_t, 4> crc{};
    if (ParseHex(text.substr(kCrcPrefix.size()), crc)) {
      return Crc32cDigest(uint32_t{crc[0]} << 24 | uint32_t{crc[1]} << 16 | uint32_t{crc[2]} << 8 | crc[3]);
    }
  }
  return InvalidArgument("BAD_DIGEST", "'{}' is no digest: sha256: with 64 or crc32c: with 8 hex digits", text);
}

}  // namespace larder::base
