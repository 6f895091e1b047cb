#include "src/text.h"

#include <cstdint>

namespace larder::config {
namespace {

// The length of the UTF-8 character at the start of `text`, 0 if there is none (also for overlong forms and
// surrogates).
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const uint8_t second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  return length;
}

bool IsControl(char c) { return (static_cast<uint8_t>(c) < 0x20) || c == 0x7F; }

}  // namespace

bool IsText(std::string_view text, size_t* at) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = CharacterLength(text.substr(i));
    const char c = text[i];
    if (length == 0 || (IsControl(c) && c != '\t' && c != '\n' && c != '\r')) {
      if (at != nullptr) *at = i;
      return false;
    }
    i += length;
  }
  return true;
}

std::string OneLine(std::string_view text) {
  std::string line;
  for (size_t i = 0; i < text.size();) {
    const size_t length = CharacterLength(text.substr(i));
    if (length == 0 || IsControl(text[i])) {
      line += '?';
      ++i;
      continue;
    }
    line += text.substr(i, length);
    i += length;
  }
  return line;
}

std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 60;
  if (text.size() <= kShown) return "\"" + OneLine(text) + "\"";
  size_t end = kShown;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) --end;
  return "\"" + OneLine(text.substr(0, end)) + "...\"";
}

}  // namespace larder::config
