#pragma once
#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "larder/config/setting.h"

namespace larder::config {

// What --help and --version say.
struct Program {
  std::string name;     // "larder-cache-agent"
  std::string summary;  // one line
  std::string version;  // "0.1.0"
};

enum class Format { kYaml, kJson };

// A parsed command line.
struct Arguments {
  std::optional<std::string> exit_text;  // --help or --version: print it and exit with success
  std::string config_file;               // --config
  std::optional<Format> print_config;    // --print-config[=json]
  std::map<std::string, std::string> flags;
};

// Parses `args` (without the program's name). Besides one flag per setting: --config FILE, --print-config[=yaml|json],
// --version, -h/--help. A flag of type kFlag needs no value (`--x`, `--x=false`); a list's may be repeated.
// INVALID_ARGUMENT: UNKNOWN_KEY for a flag that does not exist (names the nearest), BAD_VALUE for one without its
// value, given twice, or for a stray word. Values are not checked here. Any thread.
absl::StatusOr<Arguments> ParseArguments(const Program& program, const std::string& env_prefix,
                                         std::span<const Setting> settings, std::span<const std::string> args);

}  // namespace larder::config
