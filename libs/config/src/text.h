#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace larder::config {

// Whether `text` is UTF-8 without control characters, but for tab, line feed and carriage return. Otherwise `at`, if
// given, is the offset of the first byte that is not.
bool IsText(std::string_view text, size_t* at = nullptr);

// `text` in double quotes for a one-line message: control characters and what is not UTF-8 become `?`, and what is over
// 60 bytes is cut.
std::string Quoted(std::string_view text);

// `text` without line breaks and other control characters, for a comment.
std::string OneLine(std::string_view text);

}  // namespace larder::config
