#include "core/context.h"

#include <unistd.h>

#include "core/agent_control.h"
#include "core/failure.h"

namespace larder::cli {

absl::StatusOr<std::unique_ptr<client::Client>> Context::Connect() const {
  client::Options options{.ns = settings.ns};
  if (settings.timeout > base::Duration(0)) options.timeout = settings.timeout;
  options.wait = [this](base::Duration duration) { interrupts.Sleep(duration).IgnoreError(); };
  return client::Client::Connect(settings.endpoint, std::move(options));
}

absl::StatusOr<std::unique_ptr<AgentControl>> Context::ConnectControl() const {
  return AgentControl::Open(settings.endpoint, settings.ns);
}

base::Duration Context::Patience() const {
  return settings.timeout > base::Duration(0) ? settings.timeout : base::Duration(std::chrono::hours(1));
}

void Context::Report(const absl::Status& failure) {
  if (failure.ok()) return;
  Tell(FailureLine(failure) + "\n");
  if (first_failure_.ok()) first_failure_ = failure;
}

bool Context::shows_progress() const { return settings.progress && !quiet && ::isatty(STDERR_FILENO) == 1; }

}  // namespace larder::cli
