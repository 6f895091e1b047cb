#include "larder/resp/request_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "larder/resp/number.h"
#include "src/inline_request.h"

namespace larder::resp {
namespace {

// Redis looks for line ends with C's string functions: a zero byte hides what is behind it.
size_t FindBeforeZero(std::string_view input, size_t from, char wanted) {
  const size_t found = input.find(wanted, from);
  return found == std::string_view::npos || input.substr(from, found - from).find('\0') == std::string_view::npos
             ? found
             : std::string_view::npos;
}

}  // namespace

ParseResult RequestParser::Fail(std::string error) {
  error_ = "Protocol error: " + std::move(error);
  return ParseResult::kError;
}

ParseResult RequestParser::Next(std::span<char> input, const ParserLimits& limits) {
  if (!started_) {
    position_ = 0;
    expected_ = 0;
    missing_ = 0;
    in_bulk_ = false;
    slices_.clear();
    arguments_.clear();
    if (input.empty()) return ParseResult::kNeedMore;
    started_ = true;
  }
  const std::string_view bytes(input.data(), input.size());
  const ParseResult result = bytes.front() == '*' ? Multibulk(bytes, limits) : Inline(input);
  if (result == ParseResult::kNeedMore) return result;
  started_ = false;
  for (const Slice& slice : slices_) arguments_.push_back(bytes.substr(slice.begin, slice.length));
  return result;
}

RequestParser::LineResult RequestParser::FindLine(std::string_view input, size_t& end) const {
  end = FindBeforeZero(input, position_, '\r');
  if (end != std::string_view::npos) return end + 1 < input.size() ? LineResult::kFound : LineResult::kNeedMore;
  return input.size() - position_ > kMaxLine ? LineResult::kTooLong : LineResult::kNeedMore;
}

ParseResult RequestParser::Header(std::string_view input, const ParserLimits& limits) {
  size_t end = 0;
  const LineResult line = FindLine(input, end);
  if (line == LineResult::kTooLong) return Fail("too big mbulk count string");
  if (line == LineResult::kNeedMore) return ParseResult::kNeedMore;
  const std::optional<int64_t> count = ParseInteger(input.substr(1, end - 1));
  if (!count || *count > std::numeric_limits<int32_t>::max()) return Fail("invalid multibulk length");
  if (*count > static_cast<int64_t>(kUnauthenticatedArguments) && !limits.authenticated) {
    return Fail("unauthenticated multibulk length");
  }
  position_ = end + 2;
  if (*count <= 0) return ParseResult::kEmpty;
  missing_ = static_cast<uint64_t>(*count);
  return ParseResult::kRequest;
}

ParseResult RequestParser::BulkLength(std::string_view input, const ParserLimits& limits) {
  size_t end = 0;
  const LineResult line = FindLine(input, end);
  if (line == LineResult::kTooLong) return Fail("too big bulk count string");
  if (line == LineResult::kNeedMore) return ParseResult::kNeedMore;
  if (input[position_] != '$') return Fail(fmt::format("expected '$', got '{}'", input[position_]));
  const std::optional<int64_t> length = ParseInteger(input.substr(position_ + 1, end - position_ - 1));
  if (!length || *length < 0 || static_cast<uint64_t>(*length) > limits.max_bulk) return Fail("invalid bulk length");
  if (static_cast<uint64_t>(*length) > kUnauthenticatedBulk && !limits.authenticated) {
    return Fail("unauthenticated bulk length");
  }
  position_ = end + 2;
  bulk_length_ = static_cast<size_t>(*length);
  in_bulk_ = true;
  return ParseResult::kRequest;
}

ParseResult RequestParser::Multibulk(std::string_view input, const ParserLimits& limits) {
  if (missing_ == 0) {
    if (const ParseResult header = Header(input, limits); header != ParseResult::kRequest) return header;
  }
  while (missing_ > 0) {
    if (!in_bulk_) {
      if (const ParseResult bulk = BulkLength(input, limits); bulk != ParseResult::kRequest) return bulk;
    }
    expected_ = position_ + bulk_length_ + 2;
    if (input.size() < expected_) return ParseResult::kNeedMore;
    slices_.push_back({position_, bulk_length_});
    position_ = expected_;  // the line end is not looked at, as in Redis
    in_bulk_ = false;
    --missing_;
  }
  return ParseResult::kRequest;
}

ParseResult RequestParser::Inline(std::span<char> input) {
  const std::string_view bytes(input.data(), input.size());
  const size_t newline = FindBeforeZero(bytes, 0, '\n');
  if (newline == std::string_view::npos) {
    return bytes.size() > kMaxLine ? Fail("too big inline request") : ParseResult::kNeedMore;
  }
  const size_t length = newline > 0 && bytes[newline - 1] == '\r' ? newline - 1 : newline;
  const auto words = SplitWords(input.first(length));
  if (!words) return Fail("unbalanced quotes in request");
  position_ = newline + 1;
  for (const auto& [begin, size] : *words) slices_.push_back({begin, size});
  return slices_.empty() ? ParseResult::kEmpty : ParseResult::kRequest;
}

}  // namespace larder::resp
