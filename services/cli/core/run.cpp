#include "larder/cli/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "core/command_line.h"
#include "core/context.h"
#include "core/failure.h"
#include "core/help.h"
#include "larder/base/status.h"
#include "larder/rpc/process.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

int Fail(const absl::Status& status) {
  Tell(FailureLine(status) + "\n");
  return ExitCode(status);
}

// What we open must not become a standard stream that was closed, and take our messages. The streams still fail.
void OccupyClosedStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is fd.
    [[maybe_unused]] const int taken = ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// Runs the verb and reports what fails; the exit code.
int RunVerb(const Command& command, std::span<const Verb> verbs, Output& out, Interrupts& interrupts) {
  const Verb& verb = *command.verb;
  config::Environment env = config::ProcessEnvironment();
  absl::StatusOr<LoadedSettings> loaded = LoadSettings(verb, command.arguments, env);
  if (!loaded.ok()) return Fail(loaded.status());
  interrupts.Start(verb.name, loaded->settings.timeout);
  Context context(verbs, *std::move(loaded), std::move(env), command.arguments.Has("--quiet"), out, interrupts);
  absl::Status done = verb.run(context, command.arguments);
  const absl::Status flushed = out.Flush();
  if (done.ok()) done = flushed;
  interrupts.Finish();
  context.Report(base::Annotate(done, verb.name));
  return ExitCode(context.first_failure());
}

}  // namespace

int Run(int argc, char** argv) {
  OccupyClosedStreams();
  Interrupts interrupts;
  Output out(STDOUT_FILENO);
  const std::vector<Verb> verbs = AllVerbs();
  const std::vector<std::string> args(argv + (argc > 0 ? 1 : 0), argv + argc);
  const absl::StatusOr<Command> command = ParseCommandLine(verbs, args);
  if (!command.ok()) return Fail(command.status());
  if (!command->help && !command->version) return RunVerb(*command, verbs, out, interrupts);
  if (command->version) {
    out.Line(fmt::format("larder {}", rpc::Version()));
  } else {
    out.Text(command->verb == nullptr ? HelpOfAll(verbs, command->group) : HelpOf(*command->verb));
  }
  const absl::Status flushed = out.Flush();
  return flushed.ok() ? 0 : Fail(flushed);
}

}  // namespace larder::cli
