#include "larder/cli_docs/pages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <string_view>

#include "larder/config/render.h"
#include "larder/observe/registry.h"

namespace larder::cli_docs {
namespace {

// A metric and who exports it; several services may share one.
struct Exported {
  observe::Declaration declaration;
  std::vector<std::string_view> services;
};

// "larder_agent_requests_total" -> "agent".
std::string_view AreaOf(std::string_view name) {
  name.remove_prefix(name.find('_') + 1);
  return name.substr(0, name.find('_'));
}

std::string_view TypeName(observe::MetricType type) {
  switch (type) {
    case observe::MetricType::kCounter:
      return "counter";
    case observe::MetricType::kGauge:
      return "gauge";
    case observe::MetricType::kHistogram:
      break;
  }
  return "histogram";
}

std::string_view UnitOf(std::string_view name) {
  if (name.ends_with("_total")) name.remove_suffix(std::string_view("_total").size());
  for (const std::string_view unit : {"bytes", "seconds"}) {
    if (name.ends_with(unit)) return unit;
  }
  return "count";
}

std::string Row(const Exported& metric) {
  const observe::Declaration& declaration = metric.declaration;
  return fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", declaration.name, TypeName(declaration.type),
                     fmt::join(declaration.labels, " "), UnitOf(declaration.name), fmt::join(metric.services, " "),
                     declaration.help);
}

}  // namespace

std::string MetricsPage(std::span<const cli_dev::Declarations> services) {
  std::map<std::string_view, std::map<std::string_view, Exported>> areas;
  for (const cli_dev::Declarations& service : services) {
    for (const observe::Declaration& declaration : service.metrics) {
      Exported& exported = areas[AreaOf(declaration.name)][declaration.name];
      exported.declaration = declaration;
      exported.services.push_back(service.service);
    }
  }
  std::string page =
      "# Metrics\n\n"
      "Made by `./scripts/check generated --fix` from the declarations; not to be edited. Every service shows its own "
      "on its\nadmin port, at `/metrics`, in Prometheus' text format. A histogram is in seconds or bytes, as its name "
      "says.\n";
  for (const auto& [area, metrics] : areas) {
    page +=
        fmt::format("\n## {}\n\n| metric | type | labels | unit | service | what |\n|---|---|---|---|---|---|\n", area);
    for (const auto& [name, metric] : metrics) page += Row(metric);
  }
  return page;
}

std::string ConfigurationPage(std::span<const cli_dev::Declarations> services, std::span<const config::Setting> cli) {
  std::string page =
      "# Configuration\n\n"
      "Made by `./scripts/check generated --fix` from the declarations; not to be edited. A flag wins over a variable, "
      "that over\nthe file (`--config FILE`, YAML), that over the default. A setting with a `<name>` in it belongs to "
      "entries that the file\nadds; an entry that is there without, as `quotas.default`, has variables and flags, too. "
      "*reload* tells whether SIGHUP\ntakes a changed file over. `--print-config` shows what is in force, and why.\n";
  for (const cli_dev::Declarations& service : services) {
    page += fmt::format(
        "\n## {}\n\nThe program `{}`. {} In a file for `larder dev`: below `{}:`.\n\n{}", service.service,
        service.binary, service.summary, service.service,
        config::RenderMarkdown({.env_prefix = config::ServiceEnvPrefix(service.service)}, service.settings));
  }
  page += fmt::format(
      "\n## larder\n\nThe command line, in `~/.config/larder/larder.yaml` or the file of `--config` or "
      "`LARDER_CONFIG`. Its flags are those of\n`larder --help`.\n\n{}",
      config::RenderMarkdown({.env_prefix = "LARDER_", .flags = false}, cli));
  return page;
}

}  // namespace larder::cli_docs
