#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/verb.h"
#include "larder/base/clock.h"
#include "larder/config/binder.h"
#include "larder/config/resolve.h"

namespace larder::cli {

enum class Format : uint8_t { kTable, kJson, kWide };

// What holds for every verb: of larder.yaml, the variables LARDER_*, and the common flags.
struct Settings {
  std::string endpoint;
  std::string ns;  // empty: the agent's choice
  std::vector<std::string> trackers;
  Format format = Format::kTable;
  base::Duration timeout{0};  // of the whole verb; zero: none
  bool progress = true;
};
Settings DefaultSettings();
void Declare(config::Binder& binder, Settings& settings);

struct LoadedSettings {
  Settings settings;
  std::vector<config::EffectiveSetting> effective;
};

// Flag over variable over file over default. The file is the one of --config (unless that is something else to the
// verb), LARDER_CONFIG, or, if there is one, ~/.config/larder/larder.yaml. Errors as of config::Resolve.
absl::StatusOr<LoadedSettings> LoadSettings(const Verb& verb, const Arguments& arguments,
                                            const config::Environment& env);

// Checks `file` as a larder.yaml; errors as of config::Resolve.
absl::Status CheckSettingsFile(const std::string& file);
// Everything that can be set, for docs.
std::vector<config::Setting> DeclaredSettings();
// The names at the top of a larder.yaml.
std::vector<std::string> SettingNames();

}  // namespace larder::cli
