#pragma once
#include <string>
#include <string_view>

namespace larder::resp {

// What C's string functions see of an argument, as Redis compares and quotes options with them.
std::string_view UntilZero(std::string_view text);
// Without regard to the case of ASCII letters.
bool SameWord(std::string_view a, std::string_view b);
std::string Upper(std::string_view text);

}  // namespace larder::resp
