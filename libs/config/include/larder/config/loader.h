#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "larder/config/arguments.h"
#include "larder/config/binder.h"
#include "larder/config/render.h"
#include "larder/config/resolve.h"

namespace larder::config {

// What a program does after its command line was read.
struct Outcome {
  enum class Next { kRun, kExitOk };
  Next next = Next::kRun;
  std::string text;  // of kExitOk: to be printed on stdout
};

// Loads and reloads one Config, a copyable plain struct with its defaults. Its Declare(Binder&, Config&) is found
// beside it (argument-dependent lookup), or given. Every load fills a fresh copy, so a failure changes nothing. Not
// thread-safe: use it from the thread that starts the service and takes its signals; hand copies of config() to others.
template <typename Config>
class Loader {
 public:
  using DeclareFunction = std::function<void(Binder&, Config&)>;

  explicit Loader(
      Naming naming, Config defaults = {},
      DeclareFunction declare = [](Binder& binder, Config& config) { Declare(binder, config); })
      : naming_(std::move(naming)), defaults_(std::move(defaults)), declare_(std::move(declare)), config_(defaults_) {}

  // Reads the command line, then loads: kRun with config() filled, or kExitOk with the text of --help, --version or
  // --print-config. Errors as of ParseArguments and Resolve.
  absl::StatusOr<Outcome> LoadArguments(const Program& program, int argc, const char* const* argv,
                                        Environment env = ProcessEnvironment()) {
    const std::vector<std::string> args(argv + (argc > 0 ? 1 : 0), argv + argc);
    LARDER_ASSIGN_OR_RETURN(Arguments parsed, ParseArguments(program, naming_.env_prefix, FlagSettings(), args));
    if (parsed.exit_text) return Outcome{Outcome::Next::kExitOk, *std::move(parsed.exit_text)};
    LARDER_RETURN_IF_ERROR(
        Load({.file = std::move(parsed.config_file), .env = std::move(env), .flags = std::move(parsed.flags)}));
    if (!parsed.print_config) return Outcome{};
    return Outcome{Outcome::Next::kExitOk,
                   *parsed.print_config == Format::kJson ? RenderJson(effective_) : RenderYaml(effective_)};
  }

  // Loads from `inputs`, which are kept for Reload. Errors as of Resolve; config() is then as before.
  absl::Status Load(Inputs inputs) {
    LARDER_ASSIGN_OR_RETURN(Loaded loaded, Fresh(inputs));
    inputs_ = std::move(inputs);
    Commit(std::move(loaded));
    return absl::OkStatus();
  }

  // Reads the file of the last load again, its variables and flags still in force. All or nothing: `apply`, if given,
  // sees the new configuration before it becomes config(), and its error keeps the old one. Returns what changed; with
  // no change `apply` is not called. Errors as of Resolve and Changes (NOT_RELOADABLE), or `apply`'s.
  absl::StatusOr<std::vector<Change>> Reload(
      const std::function<absl::Status(const Config&, const std::vector<Change>&)>& apply = nullptr) {
    LARDER_ASSIGN_OR_RETURN(Loaded loaded, Fresh(inputs_));
    LARDER_ASSIGN_OR_RETURN(std::vector<Change> changes, Changes(effective_, loaded.effective));
    if (apply && !changes.empty()) LARDER_RETURN_IF_ERROR(apply(loaded.config, changes));
    Commit(std::move(loaded));
    return changes;
  }

  // The last good configuration; the defaults before the first load.
  const Config& config() const { return config_; }
  // The same, setting by setting with the sources; empty before the first load.
  const std::vector<EffectiveSetting>& effective() const { return effective_; }

  // Everything that can be set, for docs and the chart's schema.
  std::vector<Setting> Settings() const {
    Config config = defaults_;
    Binder binder;
    declare_(binder, config);
    return binder.settings();
  }

 private:
  struct Loaded {
    Config config;
    std::vector<EffectiveSetting> effective;
  };

  absl::StatusOr<Loaded> Fresh(const Inputs& inputs) const {
    Loaded loaded{.config = defaults_};
    Binder binder;
    declare_(binder, loaded.config);
    LARDER_ASSIGN_OR_RETURN(loaded.effective, Resolve(binder, naming_, inputs));
    return loaded;
  }
  // Those with a flag: a default entry of an Each by its own name, and not the Each's general form.
  std::vector<Setting> FlagSettings() const {
    Config config = defaults_;
    Binder binder;
    declare_(binder, config);
    std::vector<Setting> settings;
    for (const Field& field : binder.fields()) settings.push_back(field.setting);
    return settings;
  }
  void Commit(Loaded loaded) {
    config_ = std::move(loaded.config);
    effective_ = std::move(loaded.effective);
  }

  Naming naming_;
  Config defaults_;
  DeclareFunction declare_;
  Inputs inputs_;
  Config config_;
  std::vector<EffectiveSetting> effective_;
};

}  // namespace larder::config
