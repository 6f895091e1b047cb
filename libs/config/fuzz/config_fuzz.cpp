#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "src/document.h"
#include "src/text.h"

// Any bytes as a configuration file: entries or an error, and what is accepted keeps the parser's promises.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto entries =
      larder::config::ParseDocument(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz.yaml");
  if (!entries.ok()) return 0;
  for (const larder::config::Entry& entry : *entries) {
    if (entry.path.empty() || entry.line < 1) std::abort();
    if (entry.kind != larder::config::Entry::Kind::kScalar && !entry.text.empty()) std::abort();
    if (!larder::config::IsText(entry.path)) std::abort();
  }
  return 0;
}
