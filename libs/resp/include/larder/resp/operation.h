#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "larder/resp/command.h"

// What data commands ask for, once their words are understood: values that a store executes without knowing RESP.
namespace larder::resp {

struct Get {
  std::string_view key;  // answer: the value, or null
};

struct Set {
  enum class Condition : uint8_t { kAlways, kIfAbsent, kIfPresent };
  enum class Expiry : uint8_t {
    kNone,   // the key loses the expiry it had
    kKeep,   // it keeps it
    kAfter,  // it expires `milliseconds` from now
    kAt,     // it expires at `milliseconds` since 1970, which may be past
  };
  std::string_view key;
  std::string_view value;
  Condition condition = Condition::kAlways;
  Expiry expiry = Expiry::kNone;
  int64_t milliseconds = 0;  // > 0 with kAfter and kAt
  // Answer: the value before, or null, whether the condition held or not. Else +OK, or null if it did not hold.
  bool get = false;
  bool operator==(const Set&) const = default;
};

struct Del {
  std::vector<std::string_view> keys;  // one at least; answer: how many there were
};

using Operation = std::variant<Get, Set, Del>;

// Whether executing it changes something.
bool IsWrite(const Operation& operation);

struct ParsedOperation {
  Operation operation;
  std::string error;  // if not empty there is no operation, and this is the reply, as Redis words it
};
// The operation of a data command's words, which are as many as `op`, one of kGet, kSet and kDel, takes. Views into
// `arguments`. `now_ms` since 1970: a duration that would end past what 64 bits hold is refused. Pure.
ParsedOperation ParseOperation(Op op, std::span<const std::string_view> arguments, int64_t now_ms);

}  // namespace larder::resp
