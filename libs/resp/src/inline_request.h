#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace larder::resp {

// The words of an inline request, each as {begin, length} in `line`: parted by blanks, with Redis's two kinds of
// quotes, which are resolved in place. nullopt: a quote is not closed, or something follows it without a blank. Pure.
std::optional<std::vector<std::pair<size_t, size_t>>> SplitWords(std::span<char> line);

}  // namespace larder::resp
