#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace larder::resp {

// A decimal integer as Redis takes it: no sign but '-', no leading zero, no blank, nothing behind it. nullopt: it is
// none, or it does not fit. Pure.
std::optional<int64_t> ParseInteger(std::string_view text);

}  // namespace larder::resp
