#pragma once
#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <utility>

#include "larder/base/clock.h"
#include "larder/base/status.h"
#include "larder/config/loader.h"
#include "larder/config/render.h"
#include "larder/rpc/address.h"
#include "larder/rpc/process.h"
#include "larder/rpc/run_service.h"

namespace larder::cli_dev {

// One App of several in this process. One thread calls it.
template <rpc::ServiceApp App>
class Hosted {
 public:
  using Config = rpc::ServiceConfig<typename App::Config>;

  // Starts nothing. `name` tells the Apps' log lines apart. Errors as of config::Resolve.
  static absl::StatusOr<std::unique_ptr<Hosted>> Make(std::string name, config::Loader<Config> loader,
                                                      config::Inputs inputs) {
    // Of a service of its own, without sections.
    inputs.env.erase(config::ServiceEnvPrefix(App::kInfo.service) + "CONFIG");
    LARDER_RETURN_IF_ERROR(loader.Load(std::move(inputs)));
    rpc::ProcessOptions options = rpc::ProcessOptionsFor(App::kInfo, loader.config().process, loader.effective());
    options.log.service = name;
    return std::unique_ptr<Hosted>(new Hosted(std::move(name), loader, std::move(options)));
  }

  absl::Status Start() {
    LARDER_RETURN_IF_ERROR(process_.Start());
    return app_.Start();
  }
  void Stop(base::Deadline deadline) {
    app_.Stop(deadline);
    process_.Stop();
  }

  const std::string& name() const { return name_; }
  const typename App::Config& config() const { return config_.service; }
  const App& app() const { return app_; }
  // HOST:PORT, once started.
  std::string admin() const {
    rpc::HostPort address = rpc::ParseHostPort(config_.process.admin).value_or(rpc::HostPort{});
    address.port = process_.admin_port();
    return rpc::FormatHostPort(address);
  }

 private:
  Hosted(std::string name, const config::Loader<Config>& loader, rpc::ProcessOptions options)
      : name_(std::move(name)),
        config_(loader.config()),
        process_(std::move(options)),
        app_(config_.service, process_) {
    process_.SetConfigText(config::RenderYaml(loader.effective()));
  }

  const std::string name_;
  const Config config_;
  rpc::Process process_;
  App app_;
};

}  // namespace larder::cli_dev
