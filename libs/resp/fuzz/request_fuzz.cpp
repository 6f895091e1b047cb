#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "larder/resp/request_parser.h"

using namespace larder::resp;

namespace {

struct Seen {
  std::vector<std::string> arguments;
  bool failed = false;
  bool operator==(const Seen&) const = default;
};

Seen Parse(std::string_view bytes, size_t step) {
  RequestParser parser;
  const ParserLimits limits = {.max_bulk = 1 << 16};
  Seen seen;
  std::string buffer;
  for (size_t at = 0; at < bytes.size() && !seen.failed; at += step) {
    buffer += bytes.substr(at, step);
    ParseResult result = ParseResult::kRequest;
    while ((result = parser.Next(buffer, limits)) != ParseResult::kNeedMore) {
      if (result == ParseResult::kError) {
        if (parser.error().empty()) std::abort();
        seen.failed = true;
        break;
      }
      if (parser.consumed() == 0 || parser.consumed() > buffer.size()) std::abort();
      for (const std::string_view argument : parser.arguments()) seen.arguments.emplace_back(argument);
      seen.arguments.emplace_back("\r\n");  // parts the requests
      buffer = buffer.substr(parser.consumed());
    }
  }
  return seen;
}

}  // namespace

// Any bytes: the same requests and the same end, whether they come at once, singly or in pieces.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Longer lines are refused by how much of them has come, which depends on the pieces.
  if (size > kMaxLine) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Seen whole = Parse(bytes, bytes.size() + 1);
  if (Parse(bytes, 1) != whole || Parse(bytes, 7) != whole) std::abort();
  return 0;
}
