#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "larder/object/ids.h"
#include "larder/object/registry.h"

using namespace larder;

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

// What an accepted key may be joined to the path of a directory for: it stays below.
void CheckKeyIsAPathBelow(std::string_view key) {
  Require(!key.empty() && key.size() <= 1024 && object::IsUtf8(key));
  Require(key.find('\0') == key.npos);
  Require(!key.starts_with('/') && !key.ends_with('/') && key.find("//") == key.npos);
  while (!key.empty()) {
    const std::string_view segment = key.substr(0, key.find('/'));
    Require(segment != "." && segment != ".." && segment.size() <= 255);
    key.remove_prefix(std::min(key.size(), segment.size() + 1));
  }
}

}  // namespace

// Any text as a key, a namespace and a URI: what is accepted keeps what the checks promise.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (object::CheckKey(text).ok()) CheckKeyIsAPathBelow(text);
  if (object::CheckNamespace(text).ok()) {
    Require(!text.empty() && text.size() <= 63 && text.find_first_of("/._ ") == text.npos);
    Require(object::CheckKey(text).ok());
  }
  if (const auto uri = object::SplitUri(text); uri.ok()) Require(uri->scheme + "://" + uri->rest == text);
  return 0;
}
