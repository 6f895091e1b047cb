#include "larder/rpc/run_service.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "larder/base/error_table.h"
#include "larder/base/status.h"
#include "larder/rpc/address.h"

namespace larder::rpc {

ProcessConfig DefaultProcessConfig(const ServiceInfo& info) {
  return {.admin = FormatHostPort({.host = "0.0.0.0", .port = info.admin_port})};
}

void DeclareProcess(config::Binder& binder, ProcessConfig& config) {
  binder.Text(
      "listen.admin", &config.admin,
      {.help = "Address of the admin port: /metrics /healthz /readyz /configz. Unless set, a free port is taken "
               "if this one is in use.",
       .required = true,
       .check = CheckHostPort});
  binder.Choice("log.level", &config.log_level,
                {{"debug", observe::LogLevel::kDebug},
                 {"info", observe::LogLevel::kInfo},
                 {"warning", observe::LogLevel::kWarning},
                 {"error", observe::LogLevel::kError}},
                {.help = "Least important lines that are logged.", .reloadable = true});
  binder.Choice("log.format", &config.log_format,
                {{"text", observe::LogFormat::kText}, {"json", observe::LogFormat::kJson}},
                {.help = "One line per event: text for people, JSON for log stores."});
}

ProcessOptions ProcessOptionsFor(const ServiceInfo& info, const ProcessConfig& config,
                                 std::span<const config::EffectiveSetting> effective) {
  const auto admin = ParseHostPort(config.admin).value_or(HostPort{});  // checked when it was loaded
  const auto setting =
      std::find_if(effective.begin(), effective.end(), [](const auto& e) { return e.setting.path == "listen.admin"; });
  const bool is_default = setting == effective.end() || setting->source.kind == config::Source::Kind::kDefault;
  return {.admin = {.host = admin.host, .port = admin.port, .port_is_default = is_default},
          .log = {.level = config.log_level, .format = config.log_format, .service = std::string(info.service)}};
}

namespace internal {
namespace {

sigset_t Waited() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

// Whether anybody can read stderr (it may be closed, or a full disk) changes nothing: fmt::print would throw.
void Tell(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

void Reload(Process& process, const Hooks& hooks) {
  const auto changes = hooks.reload();
  if (!changes.ok()) {
    process.log().Error("configuration refused, keeping the old one", {{"error", changes.status()}});
    return;
  }
  std::string paths;
  for (const config::Change& change : *changes) paths += (paths.empty() ? "" : ",") + change.path;
  process.log().Info("configuration reloaded", {{"changed", paths}});
}

}  // namespace

struct SignalScope::Saved {
  sigset_t mask;
  struct sigaction pipe;
};

SignalScope::SignalScope() : saved_(std::make_unique<Saved>()) {
  const sigset_t waited = Waited();
  ::pthread_sigmask(SIG_BLOCK, &waited, &saved_->mask);
  struct sigaction ignore = {};  // a client that leaves is an error of a write, not our end
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &saved_->pipe);
}

SignalScope::~SignalScope() {
  // A second SIGTERM, sent while we were stopping, would kill us now that we are done.
  const sigset_t waited = Waited();
  const timespec at_once = {};
  while (::sigtimedwait(&waited, nullptr, &at_once) > 0) {
  }
  ::sigaction(SIGPIPE, &saved_->pipe, nullptr);
  ::pthread_sigmask(SIG_SETMASK, &saved_->mask, nullptr);
}

SignalScope::Signal SignalScope::Wait() {
  const sigset_t waited = Waited();
  int signal = 0;
  ::sigwait(&waited, &signal);
  return signal == SIGHUP ? Signal::kReload : Signal::kStop;
}

absl::Status Serve(Process& process, SignalScope& signals, const Hooks& hooks) {
  LARDER_RETURN_IF_ERROR(process.Start());
  LARDER_RETURN_IF_ERROR(hooks.start());
  process.log().Info("started", {{"version", Version()}});
  while (signals.Wait() == SignalScope::Signal::kReload) Reload(process, hooks);
  process.log().Info("stopping");
  hooks.stop(base::DeadlineAfter(process.clock().Now(), kStopTime));
  process.log().Info("stopped");
  process.Stop();
  return absl::OkStatus();
}

int Exit(const ServiceInfo& info, const absl::Status& status) {
  if (!status.ok()) Tell(fmt::format("{}: {}\n", info.binary, base::Message(status)));
  return base::ErrorRowOf(status.code()).exit_code;
}

}  // namespace internal
}  // namespace larder::rpc
