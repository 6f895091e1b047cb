#include "larder/cli_dev/dev.h"

#include <charconv>

#include "core/context.h"
#include "larder/base/status.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

absl::StatusOr<int> Number(const Arguments& given, const std::string& flag, int otherwise) {
  if (!given.Has(flag)) return otherwise;
  const std::string text = given.Text(flag);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value > 0) return value;
  return base::InvalidArgument("BAD_VALUE", "{} '{}' is no number above zero", flag, text);
}

absl::Status Dev(Context& context, const Arguments& given) {
  cli_dev::Options options{.dir = given.Text("--dir"), .ready_file = given.Text("--ready-file"), .env = context.env};
  LARDER_ASSIGN_OR_RETURN(options.agents, Number(given, "--agents", options.agents));
  LARDER_ASSIGN_OR_RETURN(options.port_base, Number(given, "--port-base", options.port_base));
  options.config_file = given.Text("--config");
  // The agents' own deadline for stopping, and some time for what is around it.
  const Interrupts::Unwinding unwinding(context.interrupts, cli_dev::kStopTime + std::chrono::seconds(5));
  return cli_dev::Run(
      options,
      [&](const std::string& text) {
        context.out.Text(text);
        return context.out.Flush();
      },
      [&] {
        while (context.interrupts.Sleep(std::chrono::hours(24)).ok()) {
        }
      });
}

}  // namespace

Verb DevVerb() {
  return {
      .name = "dev",
      .summary = "Run agents in this process, for development; a signal stops them",
      .example =
          "larder dev --agents 2 --ready-file ready.json\n"
          "larder dev --dir ./state --config dev.yaml   # cache_agent: {store: file} survives a restart",
      .flags =
          {
              {.name = "--agents", .value = "N", .help = "how many (default 3); until there is a tracker, islands"},
              {.name = "--dir",
               .value = "DIR",
               .help = "sockets and data, kept at the end (default: a fresh one, removed at the end)",
               .complete = Complete::kDir},
              {.name = "--config",
               .value = "FILE",
               .help = "settings: one section for each service, as in cache_agent: {arena: 1GiB}",
               .complete = Complete::kFile},
              {.name = "--port-base", .value = "P", .help = "ports from P on, 100 for each agent (default: free ones)"},
              {.name = "--ready-file",
               .value = "FILE",
               .help = "written when all serve: names and addresses, as JSON",
               .complete = Complete::kFile},
          },
      .run = Dev,
  };
}

}  // namespace larder::cli
