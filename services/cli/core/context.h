#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/interrupts.h"
#include "core/output.h"
#include "core/settings.h"
#include "core/verb.h"
#include "larder/client/client.h"

namespace larder::cli {

class AgentControl;

// What a verb runs with. Not thread-safe.
class Context {
 public:
  Context(std::span<const Verb> verbs, LoadedSettings loaded, config::Environment env, bool quiet, Output& output,
          Interrupts& interrupts)
      : verbs(verbs),
        settings(std::move(loaded.settings)),
        effective(std::move(loaded.effective)),
        env(std::move(env)),
        quiet(quiet),
        out(output),
        interrupts(interrupts) {}

  // To the agent of the settings. INVALID_ARGUMENT, UNAVAILABLE after the retries.
  absl::StatusOr<std::unique_ptr<client::Client>> Connect() const;
  // The same, by gRPC, for what concerns the cluster.
  absl::StatusOr<std::unique_ptr<AgentControl>> ConnectControl() const;
  // How long one question may take.
  base::Duration Patience() const;

  // Tells of a failure while the verb goes on with the rest; the first one's exit code will be the verb's.
  void Report(const absl::Status& failure);
  const absl::Status& first_failure() const { return first_failure_; }

  bool json() const { return settings.format == Format::kJson && !quiet; }
  bool wide() const { return settings.format == Format::kWide && !quiet; }
  // Somebody looks at stderr, and has not asked to be left alone.
  bool shows_progress() const;

  const std::span<const Verb> verbs;
  const Settings settings;
  const std::vector<config::EffectiveSetting> effective;
  const config::Environment env;
  const bool quiet;
  Output& out;
  Interrupts& interrupts;

 private:
  absl::Status first_failure_;
};

}  // namespace larder::cli
