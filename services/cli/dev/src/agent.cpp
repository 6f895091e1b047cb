#include "src/agent.h"

#include <utility>

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "larder/config/render.h"
#include "larder/rpc/address.h"

namespace larder::cli_dev {
namespace {

constexpr const rpc::ServiceInfo& kInfo = cache_agent::App::kInfo;
constexpr uint64_t kArena = 256 * base::kMiB;

}  // namespace

config::Loader<AgentConfig> AgentLoader(const std::string& section) {
  AgentConfig defaults = {.process = rpc::DefaultProcessConfig(kInfo)};
  if (!section.empty()) {
    defaults.service.arena = kArena;
    defaults.service.identity = cache_agent::Identity::kOpen;
  }
  return config::Loader<AgentConfig>({.env_prefix = config::ServiceEnvPrefix(kInfo.service), .section = section},
                                     std::move(defaults), [](config::Binder& binder, AgentConfig& config) {
                                       rpc::DeclareProcess(binder, config.process);
                                       Declare(binder, config.service);
                                     });
}

absl::StatusOr<std::unique_ptr<Agent>> Agent::Make(const AgentPlace& place, const std::string& config_file,
                                                   config::Environment env) {
  config::Loader<AgentConfig> loader = AgentLoader(std::string(kInfo.service));
  env.erase(config::ServiceEnvPrefix(kInfo.service) + "CONFIG");  // of an agent of its own, without sections
  LARDER_RETURN_IF_ERROR(loader.Load({.file = config_file,
                                      .env = std::move(env),
                                      .flags = {{"node.name", place.name},
                                                {"socket_dir", place.dir + "/sockets"},
                                                {"data_dir", place.dir},
                                                {"listen.admin", place.admin}}}));
  rpc::ProcessOptions options = rpc::ProcessOptionsFor(kInfo, loader.config().process, loader.effective());
  options.log.service = place.name;  // tells the agents' lines apart
  return std::unique_ptr<Agent>(new Agent(loader.config(), std::move(options), config::RenderYaml(loader.effective())));
}

Agent::Agent(AgentConfig config, rpc::ProcessOptions options, std::string config_text)
    : config_(std::move(config)), process_(std::move(options)), app_(config_.service, process_) {
  process_.SetConfigText(std::move(config_text));
}

absl::Status Agent::Start() {
  LARDER_RETURN_IF_ERROR(process_.Start());
  return app_.Start();
}

void Agent::Stop(base::Deadline deadline) {
  app_.Stop(deadline);
  process_.Stop();
}

std::string Agent::admin() const {
  rpc::HostPort address = rpc::ParseHostPort(config_.process.admin).value_or(rpc::HostPort{});
  address.port = process_.admin_port();
  return rpc::FormatHostPort(address);
}

}  // namespace larder::cli_dev
