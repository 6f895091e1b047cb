#include "core/settings.h"

#include <utility>

#include "larder/base/status.h"
#include "larder/config/loader.h"
#include "larder/object/ids.h"
#include "larder/rpc/address.h"

namespace larder::cli {
namespace {

// Flags whose names are not those of their settings.
constexpr std::string_view kNoProgress = "--no-progress";

config::Loader<Settings> NewLoader() {
  return config::Loader<Settings>({.env_prefix = "LARDER_", .unknown_env = config::UnknownEnv::kIgnore},
                                  DefaultSettings());
}

}  // namespace

Settings DefaultSettings() {
  Settings settings;
  settings.endpoint = "uds:///run/larder";  // the default: where a pod finds its node's sockets
  return settings;
}

void Declare(config::Binder& binder, Settings& settings) {
  binder.Text("endpoint", &settings.endpoint,
              {.help = "The agent: the directory of its sockets, as a URI.", .required = true});
  binder.Text("namespace", &settings.ns,
              {.help = "Namespace of the objects; empty: the caller's own.", .check = [](const std::string& ns) {
                 return ns.empty() ? absl::OkStatus() : object::CheckNamespace(ns);
               }});
  binder.List("tracker", &settings.trackers,
              {.help = "Where the cluster's trackers answer (listen.grpc), HOST:PORT parted by commas; for the verbs "
                       "about them.",
               .check = rpc::CheckHostPort});
  binder.Choice("output", &settings.format,
                {{"table", Format::kTable}, {"json", Format::kJson}, {"wide", Format::kWide}},
                {.help = "How results are printed."});
  binder.Time("timeout", &settings.timeout, {.help = "Longest time a verb may take; 0: no limit."});
  binder.Flag("progress", &settings.progress, {.help = "Show bytes, rate and time left when stderr is a terminal."});
}

std::span<const Flag> CommonFlags() {
  static const std::vector<Flag> kFlags = {
      {.name = "--endpoint",
       .value = "URI",
       .help = "the agent (LARDER_ENDPOINT, default uds:///run/larder)",
       .letter = 'e'},
      {.name = "--namespace", .value = "NS", .help = "namespace (LARDER_NAMESPACE, default: your own)", .letter = 'n'},
      {.name = "--output",
       .value = "table|json|wide",
       .help = "how results are printed",
       .letter = 'o',
       .choices = {"table", "json", "wide"}},
      {.name = "--quiet", .help = "print keys only, one a line", .letter = 'q'},
      {.name = "--timeout", .value = "DURATION", .help = "longest time it may take, as in 30s (default: no limit)"},
      {.name = std::string(kNoProgress), .help = "no progress on stderr"},
      {.name = "--config",
       .value = "FILE",
       .help = "settings (LARDER_CONFIG, default ~/.config/larder/larder.yaml)",
       .complete = Complete::kFile},
      {.name = "--help", .help = "print this", .letter = 'h'},
      {.name = "--version", .help = "print the version"},
  };
  return kFlags;
}

absl::StatusOr<LoadedSettings> LoadSettings(const Verb& verb, const Arguments& arguments,
                                            const config::Environment& env) {
  config::Inputs inputs{.file = Declares(verb, "--config") ? "" : arguments.Text("--config"), .env = env};
  if (inputs.file.empty() && !env.contains("LARDER_CONFIG")) {
    if (const auto home = env.find("HOME"); home != env.end() && !home->second.empty()) {
      inputs.file = home->second + "/.config/larder/larder.yaml";
      inputs.file_may_be_absent = true;
    }
  }
  for (const std::string& path : std::vector<std::string>{"endpoint", "namespace", "output", "timeout", "tracker"}) {
    if (arguments.Has("--" + path)) inputs.flags[path] = arguments.Text("--" + path);
  }
  if (arguments.Has(kNoProgress)) inputs.flags["progress"] = "false";
  config::Loader<Settings> loader = NewLoader();
  LARDER_RETURN_IF_ERROR(loader.Load(std::move(inputs)));
  return LoadedSettings{.settings = loader.config(), .effective = loader.effective()};
}

absl::Status CheckSettingsFile(const std::string& file) { return NewLoader().Load({.file = file}); }

std::vector<config::Setting> DeclaredSettings() { return NewLoader().Settings(); }

std::vector<std::string> SettingNames() {
  std::vector<std::string> names;
  for (const config::Setting& setting : DeclaredSettings()) names.push_back(setting.path);
  return names;
}

}  // namespace larder::cli
