#pragma once
#include <absl/status/statusor.h>

#include <span>
#include <string>

#include "core/verb.h"

namespace larder::cli {

struct Command {
  const Verb* verb = nullptr;  // null: help of all verbs, or the version
  std::string group;           // "config" where help of its verbs is asked for
  bool help = false;
  bool version = false;
  Arguments arguments;
};

// Parses `args` (without the program's name): common flags anywhere, the verb's name as the first words, `--` before
// operands that begin with a dash. INVALID_ARGUMENT: UNKNOWN_VERB and UNKNOWN_FLAG (naming the nearest), BAD_VALUE
// for a flag without its value or given twice, BAD_OPERANDS for too few or too many. Pure.
absl::StatusOr<Command> ParseCommandLine(std::span<const Verb> verbs, std::span<const std::string> args);

}  // namespace larder::cli
