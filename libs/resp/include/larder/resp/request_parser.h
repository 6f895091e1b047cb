#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::resp {

// What a client that has not authenticated may send as one argument, and how many of them (Redis's own numbers).
inline constexpr size_t kUnauthenticatedBulk = size_t{16} << 10;
inline constexpr size_t kUnauthenticatedArguments = 10;
// The longest inline request, and the longest line that holds a length.
inline constexpr size_t kMaxLine = size_t{64} << 10;

struct ParserLimits {
  size_t max_bulk = size_t{16} << 20;  // bytes of one argument, Redis's proto-max-bulk-len
  bool authenticated = true;           // false: the two limits above hold as well
};

enum class ParseResult : uint8_t {
  kNeedMore,  // no whole request yet
  kRequest,   // arguments() are valid, consumed() is the request's length
  kEmpty,     // a request without arguments, which gets no reply: skip consumed() bytes
  kError,     // error() is the reply, after which the connection must be closed
};

// Finds requests in a receive buffer: RESP arrays of bulk strings, and inline requests. Copies no argument. It
// remembers how far it has looked, as offsets, so the buffer may move and grow between two calls. Pure; one
// connection's, not thread-safe.
class RequestParser {
 public:
  // `input` begins with the first byte of the current request: the same bytes as in the last call if that said
  // kNeedMore, and more behind them. Quotes of an inline request are resolved in place, so `input` is written to.
  // After kRequest and kEmpty the next call starts behind consumed(). After kError it must not be called again.
  ParseResult Next(std::span<char> input, const ParserLimits& limits);

  // Views into the input of the last call; never empty after kRequest.
  const std::vector<std::string_view>& arguments() const { return arguments_; }
  size_t consumed() const { return position_; }
  // Bytes the current request needs at least, from its first one; 0 if not known. For whoever sizes the buffer.
  size_t expected() const { return expected_; }
  // "Protocol error: …", as Redis words it; the "-ERR " before it is the reply writer's.
  const std::string& error() const { return error_; }

 private:
  struct Slice {
    size_t begin;
    size_t length;
  };
  enum class LineResult : uint8_t { kFound, kNeedMore, kTooLong };

  ParseResult Multibulk(std::string_view input, const ParserLimits& limits);
  ParseResult Header(std::string_view input, const ParserLimits& limits);
  ParseResult BulkLength(std::string_view input, const ParserLimits& limits);
  ParseResult Inline(std::span<char> input);
  LineResult FindLine(std::string_view input, size_t& end) const;
  ParseResult Fail(std::string error);

  bool started_ = false;    // a request is in the making
  size_t position_ = 0;     // how far it has been understood
  uint64_t missing_ = 0;    // arguments still to come; 0: the header is
  bool in_bulk_ = false;    // the length of the next argument is known
  size_t bulk_length_ = 0;  // that length
  size_t expected_ = 0;
  std::vector<Slice> slices_;
  std::vector<std::string_view> arguments_;
  std::string error_;
};

}  // namespace larder::resp
