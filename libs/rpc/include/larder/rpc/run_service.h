#pragma once
#include <absl/status/status.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/base/clock.h"
#include "larder/config/loader.h"
#include "larder/rpc/process.h"

namespace larder::rpc {

// How a service calls itself.
struct ServiceInfo {
  std::string_view service;  // its folder, "cache_agent"; also names its variables, LARDER_CACHE_AGENT_*
  std::string_view binary;   // "larder-agent"
  std::string_view summary;  // one line, for --help
  uint16_t admin_port = 0;   // the default one
};

// The settings that every service has.
struct ProcessConfig {
  std::string admin;  // HOST:PORT
  observe::LogLevel log_level = observe::LogLevel::kInfo;
  observe::LogFormat log_format = observe::LogFormat::kText;
};
ProcessConfig DefaultProcessConfig(const ServiceInfo& info);
// Declares `listen.admin`, `log.level` (reloadable) and `log.format`.
void DeclareProcess(config::Binder& binder, ProcessConfig& config);

// A service's own settings and those of every service, as one declaration.
template <typename Config>
struct ServiceConfig {
  Config service;
  ProcessConfig process;
};
template <typename Config>
config::Loader<ServiceConfig<Config>> ServiceLoader(const ServiceInfo& info) {
  return config::Loader<ServiceConfig<Config>>({.env_prefix = config::ServiceEnvPrefix(info.service)},
                                               {.process = DefaultProcessConfig(info)},
                                               [](config::Binder& binder, ServiceConfig<Config>& config) {
                                                 DeclareProcess(binder, config.process);
                                                 Declare(binder, config.service);
                                               });
}

// `effective` tells whether the admin port was asked for.
ProcessOptions ProcessOptionsFor(const ServiceInfo& info, const ProcessConfig& config,
                                 std::span<const config::EffectiveSetting> effective);

// How long a service may take to stop, below the kubelet's default of 30 s.
inline constexpr base::Duration kStopTime = std::chrono::seconds(10);

// What RunService asks of a class: `App(const App::Config&, Process&)` wires and starts nothing; Start leaves what had
// started to Stop or the destructor if it fails.
template <typename App>
concept ServiceApp =
    std::constructible_from<App, const typename App::Config&, Process&> && requires(App& app, base::Deadline deadline) {
      { App::kInfo } -> std::convertible_to<const ServiceInfo&>;
      { app.Start() } -> std::same_as<absl::Status>;
      app.Stop(deadline);
    };
// An App with reloadable settings: Reload takes the new ones over, or refuses and changes nothing.
template <typename App>
concept ReloadableApp = requires(App& app, const typename App::Config& config) {
  { app.Reload(config) } -> std::same_as<absl::Status>;
};

// An App that does something while its process is alone, before there are threads and memory: forks, gives up what root
// may. Prepare's result is the third argument of its constructor; where an App is one of several in a process there is
// none.
template <typename App>
concept PreparedApp = requires(const typename App::Config& config) {
  { App::Prepare(config) } -> std::same_as<absl::StatusOr<typename App::Prepared>>;
};

namespace internal {

// Signals are blocked in the calling thread, and so in all that it starts, from here to the end of the object's life.
class SignalScope {
 public:
  SignalScope();
  ~SignalScope();
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;

  enum class Signal : uint8_t { kStop, kReload };
  // SIGTERM or SIGINT, or SIGHUP. Blocks.
  Signal Wait();

 private:
  struct Saved;
  std::unique_ptr<Saved> saved_;
};

struct Hooks {
  std::function<absl::Status()> start;
  std::function<void(base::Deadline)> stop;
  std::function<absl::StatusOr<std::vector<config::Change>>()> reload;
};
// Admin port, start, signals, stop.
absl::Status Serve(Process& process, SignalScope& signals, const Hooks& hooks);
// Prints "binary: message" on stderr if it is an error; the exit code of the error table.
int Exit(const ServiceInfo& info, const absl::Status& status);

// All of RunService behind the settings. An error is told before the App goes, which may take time.
template <ServiceApp App, typename... Prepared>
int ServeApp(const ServiceInfo& info, SignalScope& signals, config::Loader<ServiceConfig<typename App::Config>>& loader,
             Prepared... prepared) {
  Process process(ProcessOptionsFor(info, loader.config().process, loader.effective()));
  process.SetConfigText(config::RenderYaml(loader.effective()));
  App app(loader.config().service, process, std::move(prepared)...);
  const auto apply = [&](const ServiceConfig<typename App::Config>& config,
                         const std::vector<config::Change>&) -> absl::Status {
    if constexpr (ReloadableApp<App>) LARDER_RETURN_IF_ERROR(app.Reload(config.service));
    process.log().SetLevel(config.process.log_level);
    return absl::OkStatus();
  };
  const Hooks hooks = {.start = [&] { return app.Start(); },
                       .stop = [&](base::Deadline deadline) { app.Stop(deadline); },
                       .reload = [&]() -> absl::StatusOr<std::vector<config::Change>> {
                         LARDER_ASSIGN_OR_RETURN(auto changes, loader.Reload(apply));
                         process.SetConfigText(config::RenderYaml(loader.effective()));
                         return changes;
                       }};
  return Exit(info, Serve(process, signals, hooks));
}

}  // namespace internal

// A service's whole main: settings from file, environment and flags (--help, --version and --print-config print and
// exit), the App started, SIGHUP reloads, SIGTERM or SIGINT stops within kStopTime. Returns the exit code. Owns the
// process: call it from main, before there are threads.
template <ServiceApp App>
int RunService(int argc, char** argv) {
  const ServiceInfo& info = App::kInfo;
  internal::SignalScope signals;
  auto loader = ServiceLoader<typename App::Config>(info);
  const auto outcome = loader.LoadArguments(
      {.name = std::string(info.binary), .summary = std::string(info.summary), .version = std::string(Version())}, argc,
      argv);
  if (!outcome.ok()) return internal::Exit(info, outcome.status());
  if (outcome->next == config::Outcome::Next::kExitOk) {
    std::fputs(outcome->text.c_str(), stdout);
    return 0;
  }
  if constexpr (PreparedApp<App>) {
    absl::StatusOr<typename App::Prepared> prepared = App::Prepare(loader.config().service);
    if (!prepared.ok()) return internal::Exit(info, prepared.status());
    return internal::ServeApp<App>(info, signals, loader, *std::move(prepared));
  } else {
    return internal::ServeApp<App>(info, signals, loader);
  }
}

}  // namespace larder::rpc
