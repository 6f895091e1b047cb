#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

namespace larder::config {

// One key of a YAML file that holds a value, by its path from the top: "node.name", "forest_source[1].cluster".
struct Entry {
  enum class Kind { kScalar, kList, kEmpty };  // kEmpty: null, or a mapping without keys
  std::string path;
  int line = 0;  // of the key
  Kind kind = Kind::kEmpty;
  std::string text;                // of a kScalar
  std::vector<std::string> items;  // of a kList
};

// The entries of a YAML text in its order. `name` is the file's, for errors: "NAME:LINE: what". INVALID_ARGUMENT
// (BAD_YAML, DUPLICATE_KEY, CONFIG_TOO_LARGE) as of Resolve. Pure; any thread.
absl::StatusOr<std::vector<Entry>> ParseDocument(std::string_view text, std::string_view name);

// Reads `file` and parses it; also INVALID_ARGUMENT (CONFIG_UNREADABLE, CONFIG_TOO_LARGE). A file that is not there is
// without entries if it `may_be_absent`.
absl::StatusOr<std::vector<Entry>> ReadDocument(const std::string& file, bool may_be_absent);

}  // namespace larder::config
