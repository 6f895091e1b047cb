#pragma once
#include <span>
#include <string>
#include <string_view>

namespace larder::base {

// The known name with the smallest edit distance (Levenshtein) to `name`, or empty if none is near: at most a third of
// its length, and at least two edits, are forgiven. For "did you mean".
std::string NearestName(std::string_view name, std::span<const std::string> known);

}  // namespace larder::base
