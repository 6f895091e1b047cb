#pragma once
#include <span>
#include <string>
#include <vector>

#include "larder/cli_dev/declarations.h"
#include "larder/config/setting.h"

// The pages of docs/ that are made from declarations, and what the chart's schema is made of. Pure.
namespace larder::cli_docs {

// Every metric, a table per area, with the services that export it.
std::string MetricsPage(std::span<const cli_dev::Declarations> services);
// Every setting, a table per service, and those of the CLI.
std::string ConfigurationPage(std::span<const cli_dev::Declarations> services, std::span<const config::Setting> cli);
// A JSON object with, for each service, the JSON Schema of its configuration file: every setting with its help, and no
// other.
std::string ConfigSchemas(std::span<const cli_dev::Declarations> services);

}  // namespace larder::cli_docs
