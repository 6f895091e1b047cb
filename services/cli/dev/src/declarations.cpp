#include "larder/cli_dev/declarations.h"

#include <utility>

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "larder/cache_agent/app.h"
#include "larder/peer_manager/app.h"
#include "larder/rpc/process.h"
#include "larder/rpc/run_service.h"
#include "larder/tracker/app.h"

namespace larder::cli_dev {
namespace {

// Where nothing listens.
constexpr std::string_view kNowhere = "127.0.0.1:1";

template <rpc::ServiceApp App>
absl::StatusOr<Declarations> DeclarationsOf(const typename App::Config& config) {
  rpc::Process process({.log = {.output = [](std::string_view) {}}});
  App app(config, process);
  if (absl::Status started = app.Start(); !started.ok()) return base::Annotate(started, App::kInfo.service);
  return Declarations{.service = App::kInfo.service,
                      .binary = App::kInfo.binary,
                      .summary = App::kInfo.summary,
                      .settings = rpc::ServiceLoader<typename App::Config>(App::kInfo).Settings(),
                      .metrics = process.metrics().Declarations()};
}

}  // namespace

absl::StatusOr<std::vector<Declarations>> DeclarationsOfAll(const std::string& dir) {
  std::vector<Declarations> all;
  LARDER_ASSIGN_OR_RETURN(Declarations agent, DeclarationsOf<cache_agent::App>({.node_name = "node",
                                                                                .tracker = std::string(kNowhere),
                                                                                .socket_dir = dir + "/sockets",
                                                                                .data_dir = dir + "/data",
                                                                                .arena = 16 * base::kMiB,
                                                                                .pieces = "127.0.0.1:0"}));
  all.push_back(std::move(agent));
  LARDER_ASSIGN_OR_RETURN(
      Declarations tracker,
      DeclarationsOf<tracker::App>(
          {.data_dir = dir + "/tracker", .grpc = "127.0.0.1:0", .raft = "127.0.0.1:0", .resp = "127.0.0.1:0"}));
  all.push_back(std::move(tracker));
  LARDER_ASSIGN_OR_RETURN(Declarations peer_manager, DeclarationsOf<peer_manager::App>(
                                                         {.grpc = "127.0.0.1:0", .trackers = {std::string(kNowhere)}}));
  all.push_back(std::move(peer_manager));
  return all;
}

}  // namespace larder::cli_dev
