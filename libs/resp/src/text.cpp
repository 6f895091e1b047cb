#include "src/text.h"

#include <algorithm>

namespace larder::resp {
namespace {

char UpperLetter(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

}  // namespace

std::string_view UntilZero(std::string_view text) { return text.substr(0, text.find('\0')); }

bool SameWord(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return UpperLetter(x) == UpperLetter(y); });
}

std::string Upper(std::string_view text) {
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(), UpperLetter);
  return upper;
}

}  // namespace larder::resp
