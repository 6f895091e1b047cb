#include "src/loaders.h"

#include <utility>

#include "larder/base/units.h"

namespace larder::cli_dev {
namespace {

constexpr uint64_t kArena = 256 * base::kMiB;

template <typename App>
config::Loader<rpc::ServiceConfig<typename App::Config>> LoaderOf(const std::string& section,
                                                                  typename App::Config defaults) {
  using Config = rpc::ServiceConfig<typename App::Config>;
  return config::Loader<Config>({.env_prefix = config::ServiceEnvPrefix(App::kInfo.service), .section = section},
                                {.service = std::move(defaults), .process = rpc::DefaultProcessConfig(App::kInfo)},
                                [](config::Binder& binder, Config& config) {
                                  rpc::DeclareProcess(binder, config.process);
                                  Declare(binder, config.service);
                                });
}

}  // namespace

config::Loader<rpc::ServiceConfig<cache_agent::Config>> AgentLoader(const std::string& section) {
  cache_agent::Config defaults;
  if (!section.empty()) {
    defaults.arena = kArena;
    defaults.identity = cache_agent::Identity::kOpen;
  }
  return LoaderOf<cache_agent::App>(section, std::move(defaults));
}

config::Loader<rpc::ServiceConfig<tracker::Config>> TrackerLoader(const std::string& section) {
  return LoaderOf<tracker::App>(section, {});
}

config::Loader<rpc::ServiceConfig<peer_manager::Config>> PeerManagerLoader(const std::string& section) {
  return LoaderOf<peer_manager::App>(section, {});
}

}  // namespace larder::cli_dev
