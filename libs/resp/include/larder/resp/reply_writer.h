#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace larder::resp {

enum class Protocol : uint8_t { kResp2 = 2, kResp3 = 3 };

// Appends replies to `out`, which it borrows, as a client of `protocol` reads them; what RESP2 does not know becomes
// what Redis 7.0 sends instead. After Array, Map, Set or Push the caller writes that many elements (of a map: twice).
// Pure; not thread-safe.
class ReplyWriter {
 public:
  ReplyWriter(std::string& out, Protocol protocol) : out_(out), protocol_(protocol) {}
  // From the next reply on.
  void SetProtocol(Protocol protocol) { protocol_ = protocol; }

  void Simple(std::string_view text);  // without line ends
  // "ERR " is put before `text` unless it brings its own word, as "-WRONGTYPE …". Line ends become blanks.
  void Error(std::string_view text);
  void Integer(int64_t value);
  void Bulk(std::string_view bytes);
  void Null();       // no such value
  void NullArray();  // no such list of values
  void Array(size_t elements) { Header('*', elements); }
  void Map(size_t pairs);
  void Set(size_t elements) { Header(resp3() ? '~' : '*', elements); }
  void Push(size_t elements) { Header(resp3() ? '>' : '*', elements); }
  void Double(double value);
  void Boolean(bool value);
  void Verbatim(std::string_view format, std::string_view text);  // `format`: three letters, "txt"

 private:
  bool resp3() const { return protocol_ == Protocol::kResp3; }
  void Header(char kind, size_t count);

  std::string& out_;
  Protocol protocol_;
};

}  // namespace larder::resp
