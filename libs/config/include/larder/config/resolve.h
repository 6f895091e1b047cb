#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "larder/config/binder.h"
#include "larder/config/setting.h"

namespace larder::config {

using Environment = std::map<std::string, std::string>;

// The variables of this process. The only place that reads them; call it before there are threads.
Environment ProcessEnvironment();

// A larger file is refused.
inline constexpr size_t kMaxFileBytes = 1 << 20;

enum class UnknownEnv {
  kRefuse,  // the prefix is this program's alone
  kIgnore,  // others share the prefix, as services share the CLI's LARDER_
};

// Where settings are read from, and by which names.
struct Naming {
  std::string env_prefix;  // ServiceEnvPrefix("cache_agent"), or "LARDER_" for the CLI
  UnknownEnv unknown_env = UnknownEnv::kRefuse;
  // The part of the file that counts: "cache_agent", or "forest_source[1]", the second of a sequence; empty: all of it.
  std::string section;
};

// What was given. A flag wins over a variable, that over the file, that over the default.
struct Inputs {
  std::string file;                 // YAML; empty: the one named by the variable <env_prefix>CONFIG, if any
  bool file_may_be_absent = false;  // for a file that nobody named, as ~/.config/larder/larder.yaml
  Environment env;
  std::map<std::string, std::string> flags;  // path -> text
};

// Sets the bound fields from `inputs` and returns every setting with its value and source, in declaration order. Every
// value given is validated, also one that another overrides. Blocks on reading the file.
//
// INVALID_ARGUMENT, the message beginning with where and what ("FILE:LINE: key", "VARIABLE: key" or "--flag"), the
// reason
//   UNKNOWN_KEY      no such setting, in whatever source (names the nearest)
//   BAD_VALUE        not of the setting's type (a TextCheck's error keeps its own reason)
//   OUT_OF_BOUNDS    of its type, but too small or too large
//   DUPLICATE_KEY    twice in the file (names both lines)
//   BAD_YAML         not YAML, or more of YAML than is read: anchors, aliases, tags, several documents, 16 levels
//   CONFIG_TOO_LARGE over kMaxFileBytes, or over 10,000 keys
//   MISSING_SETTING  required, but empty
//   CONFIG_UNREADABLE the file cannot be read
// or what a Check returned; INTERNAL (BAD_DECLARATION) for a mistake in the declarations. After an error the fields
// hold a mixture: throw the struct away, as Loader does.
//
// Variables in the shapes that Kubernetes makes for a Service (LARDER_TRACKER_SERVICE_HOST,
// LARDER_TRACKER_PORT_7401_TCP) are nobody's typing mistake and are passed over if no setting has that name.
absl::StatusOr<std::vector<EffectiveSetting>> Resolve(Binder& binder, const Naming& naming, const Inputs& inputs);

// What differs between two results of Resolve, by path. FAILED_PRECONDITION (NOT_RELOADABLE) naming every such setting
// if one that needs a restart differs. Pure.
absl::StatusOr<std::vector<Change>> Changes(std::span<const EffectiveSetting> before,
                                            std::span<const EffectiveSetting> after);

// The sections at the top of a file shared by several services, as Naming::section takes them, in the file's order:
// `forest_source` as a sequence of two gives "forest_source[0]" and "forest_source[1]". INVALID_ARGUMENT as of Resolve;
// UNKNOWN_KEY for one that is not in `known`.
absl::StatusOr<std::vector<std::string>> Sections(const std::string& file, std::span<const std::string> known);

}  // namespace larder::config
