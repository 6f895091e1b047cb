#include "larder/object/ids.h"

#include "larder/base/status.h"
#include "larder/object/registry.h"

namespace larder::object {
namespace {

bool IsLowerAlnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

absl::Status BadKey(std::string_view why) {
  return base::InvalidArgument("BAD_KEY",
                               "{} (keys are 1 to 1024 bytes of UTF-8, segments of 1 to 255 bytes parted by '/')", why);
}

}  // namespace

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    if (lead < 0x80) continue;
    int more = 0;
    uint32_t point = 0;
    if (lead >= 0xC2 && lead <= 0xDF) {
      more = 1, point = lead & 0x1F;
    } else if ((lead & 0xF0) == 0xE0) {
      more = 2, point = lead & 0x0F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      more = 3, point = lead & 0x07;
    } else {
      return false;
    }
    for (int k = 0; k < more; ++k, ++i) {
      if (i >= text.size() || (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return false;
      point = (point << 6) | (static_cast<unsigned char>(text[i]) & 0x3F);
    }
    if ((more == 2 && point < 0x800) || (more == 3 && point < 0x10000)) return false;
    if ((point >= 0xD800 && point <= 0xDFFF) || point > 0x10FFFF) return false;
  }
  return true;
}

absl::Status CheckNamespace(std::string_view ns) {
  bool good = !ns.empty() && ns.size() <= 63 && IsLowerAlnum(ns.front()) && IsLowerAlnum(ns.back());
  for (char c : ns) good = good && (IsLowerAlnum(c) || c == '-');
  if (good) return absl::OkStatus();
  return base::InvalidArgument("BAD_NAMESPACE",
                               "a namespace is a DNS label: 1 to 63 of a-z, 0-9 and '-', not '-' at an end");
}

absl::Status CheckKey(std::string_view key) {
  if (key.empty()) return BadKey("the key is empty");
  if (key.size() > 1024) return BadKey(fmt::format("the key has {} bytes", key.size()));
  if (key.find('\0') != key.npos) return BadKey("the key holds a NUL");
  if (!IsUtf8(key)) return BadKey("the key is not UTF-8");
  for (size_t begin = 0; begin <= key.size();) {
    const size_t end = std::min(key.find('/', begin), key.size());
    const std::string_view segment = key.substr(begin, end - begin);
    if (segment.empty()) return BadKey("the key has an empty segment");
    if (segment == "." || segment == "..") return BadKey(fmt::format("the key has a '{}' segment", segment));
    if (segment.size() > 255) return BadKey(fmt::format("a segment of the key has {} bytes", segment.size()));
    begin = end + 1;
  }
  return absl::OkStatus();
}

absl::StatusOr<UriParts> SplitUri(std::string_view uri) {
  const size_t at = uri.find("://");
  if (at == uri.npos || at == 0) {
    return base::InvalidArgument("BAD_URI", "'{}' is no URI of the form SCHEME://ADDRESS", uri);
  }
  return UriParts{std::string(uri.substr(0, at)), std::string(uri.substr(at + 3))};
}

}  // namespace larder::object
