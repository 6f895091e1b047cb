#include "larder/cli_dev/settings.h"

#include <algorithm>
#include <functional>
#include <span>
#include <string_view>

#include "larder/base/status.h"
#include "src/loaders.h"

namespace larder::cli_dev {

namespace {

// What is asked of a service without its types.
struct Service {
  std::string_view name;
  std::function<std::vector<config::Setting>()> settings;
  // Loads the file, of which it reads the section, or all of it.
  std::function<absl::Status(const std::string& section, const std::string& file)> load;
};

template <typename App, typename MakeLoader>
Service ServiceOf(MakeLoader loader) {
  return {.name = App::kInfo.service,
          .settings = [loader] { return loader("").Settings(); },
          .load = [loader](const std::string& section,
                           const std::string& file) { return loader(section).Load({.file = file}); }};
}

const Service* FindService(std::span<const Service> services, std::string_view name) {
  const auto found = std::ranges::find(services, name, &Service::name);
  return found == services.end() ? nullptr : &*found;
}

std::vector<Service> Services() {
  return {ServiceOf<cache_agent::App>(AgentLoader), ServiceOf<tracker::App>(TrackerLoader),
          ServiceOf<peer_manager::App>(PeerManagerLoader)};
}

}  // namespace

std::vector<std::string> ServiceNames() {
  std::vector<std::string> names;
  for (const Service& service : Services()) names.emplace_back(service.name);
  return names;
}

std::vector<std::string> TopKeys(const std::string& service) {
  const std::vector<Service> services = Services();
  const Service* found = FindService(services, service);
  std::vector<std::string> keys;
  if (found == nullptr) return keys;
  for (const config::Setting& setting : found->settings()) {
    std::string key = setting.path.substr(0, setting.path.find('.'));
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
  }
  return keys;
}

absl::Status CheckServiceFile(const std::string& service, const std::string& file) {
  const std::vector<Service> services = Services();
  const Service* found = FindService(services, service);
  if (found == nullptr) return base::InvalidArgument("UNKNOWN_SERVICE", "no service is named '{}'", service);
  return found->load("", file);
}

absl::Status CheckFile(const std::string& file) {
  const std::vector<Service> services = Services();
  LARDER_ASSIGN_OR_RETURN(const std::vector<std::string> sections, config::Sections(file, ServiceNames()));
  for (const std::string& section : sections) {
    LARDER_RETURN_IF_ERROR(FindService(services, section)->load(section, file));
  }
  return absl::OkStatus();
}

}  // namespace larder::cli_dev
