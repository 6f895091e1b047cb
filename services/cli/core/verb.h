#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::cli {

class Context;

// What a shell offers after a flag or as an operand.
enum class Complete : uint8_t { kNothing, kFile, kDir };

// A flag's declaration; parsing, help and completion derive from it.
struct Flag {
  std::string name;   // "--key"
  std::string value;  // what help calls its value, "KEY"; empty: a switch
  std::string help;
  char letter = 0;  // 'r' for -r
  bool repeatable = false;
  Complete complete = Complete::kNothing;
  std::vector<std::string> choices;  // offered by completion
};

// What was given to a verb.
class Arguments {
 public:
  bool Has(std::string_view flag) const { return flags_.contains(flag); }
  // The value, or the last of several; empty if it was not given.
  std::string Text(std::string_view flag) const {
    const auto found = flags_.find(flag);
    return found == flags_.end() || found->second.empty() ? "" : found->second.back();
  }
  std::vector<std::string> All(std::string_view flag) const {
    const auto found = flags_.find(flag);
    return found == flags_.end() ? std::vector<std::string>() : found->second;
  }
  void Add(const std::string& flag, std::string value) { flags_[flag].push_back(std::move(value)); }

  std::vector<std::string> operands;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> flags_;
};

// One thing that `larder` does. To add one: a file in verbs/ that returns it, and a line in verbs/all.cpp.
struct Verb {
  std::string name;      // "import", "config show"
  std::string operands;  // as in the usage line, "FILE|-"; empty: none
  size_t min_operands = 0;
  size_t max_operands = 0;
  std::string summary;  // one line
  std::string example;  // a command, or several lines of them
  std::vector<Flag> flags;
  Complete complete = Complete::kNothing;  // of the operands
  std::vector<std::string> choices;        // of the first operand, if it is one of a few words
  // An error becomes the one line and the exit code; what was already reported by Context::Report is not an error.
  std::function<absl::Status(Context&, const Arguments&)> run;
};

inline constexpr size_t kManyOperands = std::numeric_limits<size_t>::max();

// Those of every verb.
std::span<const Flag> CommonFlags();
// All of one verb's: its own, then the common ones that it does not give a meaning of its own.
std::vector<const Flag*> FlagsOf(const Verb& verb);
// Whether the verb itself declares `flag`.
bool Declares(const Verb& verb, std::string_view flag);

}  // namespace larder::cli
