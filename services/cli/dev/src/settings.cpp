#include "larder/cli_dev/settings.h"

#include <algorithm>

#include "larder/base/status.h"
#include "src/agent.h"

namespace larder::cli_dev {

std::vector<std::string> ServiceNames() { return {std::string(cache_agent::App::kInfo.service)}; }

std::vector<std::string> TopKeys(const std::string& service) {
  std::vector<std::string> keys;
  if (service != cache_agent::App::kInfo.service) return keys;
  for (const config::Setting& setting : AgentLoader("").Settings()) {
    std::string key = setting.path.substr(0, setting.path.find('.'));
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
  }
  return keys;
}

absl::Status CheckServiceFile(const std::string& service, const std::string& file) {
  if (service != cache_agent::App::kInfo.service) {
    return base::InvalidArgument("UNKNOWN_SERVICE", "no service is named '{}'", service);
  }
  return AgentLoader("").Load({.file = file});
}

absl::Status CheckFile(const std::string& file) {
  const std::vector<std::string> known = ServiceNames();
  absl::StatusOr<std::vector<std::string>> sections = config::Sections(file, known);
  if (!sections.ok()) return sections.status();
  for (const std::string& section : *sections) {
    LARDER_RETURN_IF_ERROR(AgentLoader(section).Load({.file = file}));
  }
  return absl::OkStatus();
}

}  // namespace larder::cli_dev
