#include "larder/resp/operation.h"

#include <limits>
#include <optional>

#include "larder/resp/number.h"
#include "src/text.h"

namespace larder::resp {
namespace {

constexpr int64_t kMillisecondsPerSecond = 1000;

enum class ExpiryWord : uint8_t { kNone, kKeepTtl, kEx, kPx, kExAt, kPxAt };

ExpiryWord ExpiryWordOf(std::string_view word) {
  if (SameWord(word, "KEEPTTL")) return ExpiryWord::kKeepTtl;
  if (SameWord(word, "EX")) return ExpiryWord::kEx;
  if (SameWord(word, "PX")) return ExpiryWord::kPx;
  if (SameWord(word, "EXAT")) return ExpiryWord::kExAt;
  if (SameWord(word, "PXAT")) return ExpiryWord::kPxAt;
  return ExpiryWord::kNone;
}

// SET's options one by one. An option may be repeated, the last one counts; it may not stand beside its opposite.
class SetParser {
 public:
  explicit SetParser(Set& set) : set_(set) {}

  // False: a syntax error.
  bool Take(std::span<const std::string_view> options) {
    for (size_t i = 0; i < options.size(); ++i) {
      const std::string_view word = UntilZero(options[i]);
      if (SameWord(word, "GET")) {
        set_.get = true;
      } else if (SameWord(word, "NX") || SameWord(word, "XX")) {
        if (!TakeCondition(SameWord(word, "NX") ? Set::Condition::kIfAbsent : Set::Condition::kIfPresent)) return false;
      } else {
        const ExpiryWord kind = ExpiryWordOf(word);
        if (kind == ExpiryWord::kNone || (kind_ != ExpiryWord::kNone && kind_ != kind)) return false;
        kind_ = kind;
        if (kind == ExpiryWord::kKeepTtl) continue;
        if (++i == options.size()) return false;
        time_ = options[i];
      }
    }
    return true;
  }

  // Empty, or the error.
  std::string Resolve(int64_t now_ms) {
    if (kind_ == ExpiryWord::kNone) return "";
    if (kind_ == ExpiryWord::kKeepTtl) {
      set_.expiry = Set::Expiry::kKeep;
      return "";
    }
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
    const bool seconds = kind_ == ExpiryWord::kEx || kind_ == ExpiryWord::kExAt;
    const bool relative = kind_ == ExpiryWord::kEx || kind_ == ExpiryWord::kPx;
    const std::optional<int64_t> time = ParseInteger(time_);
    if (!time) return "value is not an integer or out of range";
    if (*time <= 0 || (seconds && *time > kMax / kMillisecondsPerSecond)) return kInvalidExpiry;
    set_.milliseconds = seconds ? *time * kMillisecondsPerSecond : *time;
    if (relative && set_.milliseconds > kMax - now_ms) return kInvalidExpiry;
    set_.expiry = relative ? Set::Expiry::kAfter : Set::Expiry::kAt;
    return "";
  }

 private:
  static constexpr const char* kInvalidExpiry = "invalid expire time in 'set' command";

  bool TakeCondition(Set::Condition condition) {
    if (set_.condition != Set::Condition::kAlways && set_.condition != condition) return false;
    set_.condition = condition;
    return true;
  }

  Set& set_;
  ExpiryWord kind_ = ExpiryWord::kNone;
  std::string_view time_;
};

}  // namespace

bool IsWrite(const Operation& operation) { return !std::holds_alternative<Get>(operation); }

ParsedOperation ParseOperation(Op op, std::span<const std::string_view> arguments, int64_t now_ms) {
  if (op == Op::kGet) return {.operation = Get{.key = arguments[1]}};
  if (op == Op::kDel) return {.operation = Del{.keys = {arguments.begin() + 1, arguments.end()}}};
  Set set = {.key = arguments[1], .value = arguments[2]};
  SetParser parser(set);
  if (!parser.Take(arguments.subspan(3))) return {.error = "syntax error"};
  if (std::string error = parser.Resolve(now_ms); !error.empty()) return {.error = std::move(error)};
  return {.operation = set};
}

}  // namespace larder::resp
