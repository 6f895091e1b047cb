#include "larder/cli_dev/dev.h"

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/cli_dev/settings.h"
#include "src/hosted.h"
#include "src/loaders.h"

namespace larder::cli_dev {
namespace {

namespace fs = std::filesystem;

constexpr int kMostAgents = 64;
constexpr int kPortsPerAgent = 100;
constexpr char kNowhereYet[] = "127.0.0.1:1";
constexpr int kServicePorts = 7400;  // the contract's ports begin here
constexpr int kAgentPieces = 7461;
constexpr int kTrackerGrpc = 7410;
constexpr int kTrackerRaft = 7411;
constexpr int kTrackerResp = 7412;  // in place of Redis's own, which lies elsewhere
constexpr int kPeerManagerGrpc = 7420;
// What a service puts below DIR at most: "/node-63/sockets/control.sock" and a suffix while it is being bound.
constexpr size_t kSocketPath = 107;
constexpr size_t kBelowDir = 40;
constexpr char kDefaultScheme[] = "uds://";  // of the endpoints that are told to people

// The directory of everything; a fresh one is removed with all that it holds.
class Home {
 public:
  Home() = default;
  ~Home() {
    std::error_code ignored;  // what cannot be removed stays, in a place that systems clean
    if (fresh_) fs::remove_all(path_, ignored);
  }
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;

  absl::Status Open(const Options& options) {
    if (options.dir.empty()) {
      const auto runtime = options.env.find("XDG_RUNTIME_DIR");
      const bool given = runtime != options.env.end() && runtime->second.starts_with('/');
      if (given && MakeFresh(runtime->second).ok()) return absl::OkStatus();
      return MakeFresh("/tmp");
    }
    std::error_code error;
    path_ = fs::absolute(options.dir, error).lexically_normal().native();
    if (error) return base::ErrnoError(error.value(), "find " + options.dir);
    while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
    if (path_.size() + kBelowDir > kSocketPath) {
      return base::InvalidArgument("PATH_TOO_LONG", "--dir {} is too long for the sockets in it (at most {} bytes)",
                                   path_, kSocketPath - kBelowDir);
    }
    const absl::Status made = base::MakeDirs(path_);
    return made.ok() ? made : base::InvalidArgument(base::Reason(made), "--dir: {}", base::Message(made));
  }

  const std::string& path() const { return path_; }
  bool fresh() const { return fresh_; }

 private:
  absl::Status MakeFresh(const std::string& parent) {
    std::string path = parent + "/larder-dev-XXXXXX";
    if (path.size() + kBelowDir > kSocketPath) return base::InvalidArgument("PATH_TOO_LONG", "{} is too long", parent);
    if (::mkdtemp(path.data()) == nullptr) return base::ErrnoError(errno, "make a directory in " + parent);
    path_ = std::move(path);
    fresh_ = true;
    return absl::OkStatus();
  }

  std::string path_;
  bool fresh_ = false;
};

absl::Status CheckOptions(const Options& options) {
  if (options.agents < 1 || options.agents > kMostAgents) {
    return base::InvalidArgument("BAD_VALUE", "--agents {} is not between 1 and {}", options.agents, kMostAgents);
  }
  const int last = options.port_base + options.agents * kPortsPerAgent;
  if (options.port_base != 0 && (options.port_base < 1024 || last > 65535)) {
    return base::InvalidArgument("BAD_VALUE", "--port-base {} is not between 1024 and {}", options.port_base,
                                 65535 - options.agents * kPortsPerAgent);
  }
  return absl::OkStatus();
}

// Where a service's port, by its number in the contract, is in a run with that base.
std::string Address(const Options& options, int port, int agent = 0) {
  if (options.port_base == 0) return "127.0.0.1:0";
  return fmt::format("127.0.0.1:{}", port - kServicePorts + options.port_base + kPortsPerAgent * agent);
}

// What runs, and stops when it goes out of scope.
class Cluster {
 public:
  ~Cluster() {
    const base::Deadline deadline = base::DeadlineAfter(base::SystemClock().Now(), kStopTime);
    for (auto agent = agents_.rbegin(); agent != agents_.rend(); ++agent) (*agent)->Stop(deadline);
    if (peer_manager_ != nullptr) peer_manager_->Stop(deadline);
    if (tracker_ != nullptr) tracker_->Stop(deadline);
  }

  absl::Status Start(const Options& options, const std::string& home) {
    // All settings are looked at before anything starts; where the others answer is known when they do.
    LARDER_RETURN_IF_ERROR(MakeTracker(options, home));
    LARDER_RETURN_IF_ERROR(MakePeerManager(options, kNowhereYet));
    LARDER_RETURN_IF_ERROR(MakeAgents(options, home, kNowhereYet, kNowhereYet));
    agents_.clear();
    LARDER_RETURN_IF_ERROR(base::Annotate(tracker_->Start(), tracker_->name()));
    LARDER_RETURN_IF_ERROR(MakePeerManager(options, tracker_->app().grpc_address()));
    LARDER_RETURN_IF_ERROR(base::Annotate(peer_manager_->Start(), peer_manager_->name()));
    LARDER_RETURN_IF_ERROR(
        MakeAgents(options, home, tracker_->app().grpc_address(), peer_manager_->app().grpc_address()));
    for (const auto& agent : agents_) LARDER_RETURN_IF_ERROR(base::Annotate(agent->Start(), agent->name()));
    return absl::OkStatus();
  }

  std::string ReadyText() const {
    nlohmann::ordered_json agents = nlohmann::ordered_json::array();
    for (const auto& agent : agents_) {
      agents.push_back(
          {{"name", agent->name()}, {"socket_dir", agent->config().socket_dir}, {"admin", agent->admin()}});
    }
    const nlohmann::ordered_json tracker = {{"grpc", tracker_->app().grpc_address()},
                                            {"resp", tracker_->app().resp_address()},
                                            {"admin", tracker_->admin()}};
    const nlohmann::ordered_json peer_manager = {{"grpc", peer_manager_->app().grpc_address()},
                                                 {"admin", peer_manager_->admin()}};
    return nlohmann::ordered_json{{"agents", agents}, {"tracker", tracker}, {"peer_manager", peer_manager}}.dump() +
           "\n";
  }

  // For people.
  std::string Told(const Home& home) const {
    std::string text =
        fmt::format("larder dev: {} {} in {}{}\n", agents_.size(), agents_.size() == 1 ? "agent" : "agents",
                    home.path(), home.fresh() ? " (removed at the end)" : "");
    for (const auto& agent : agents_) {
      const std::string endpoint = kDefaultScheme + agent->config().socket_dir;
      text += fmt::format("  {}  -e {}  http://{}/metrics\n", agent->name(), endpoint, agent->admin());
    }
    text +=
        fmt::format("  tracker  redis://{}  http://{}/metrics\n", tracker_->app().resp_address(), tracker_->admin());
    text += fmt::format("  peer manager  {}  http://{}/metrics\n", peer_manager_->app().grpc_address(),
                        peer_manager_->admin());
    return text + "ready; a signal (Ctrl-C) stops it\n";
  }

 private:
  using Agent = Hosted<cache_agent::App>;
  using Tracker = Hosted<tracker::App>;
  using PeerManager = Hosted<peer_manager::App>;

  // Its only voter, whatever the number of agents.
  absl::Status MakeTracker(const Options& options, const std::string& home) {
    const std::string name(tracker::App::kInfo.service);
    LARDER_ASSIGN_OR_RETURN(
        tracker_, Tracker::Make(name, TrackerLoader(name),
                                {.file = options.config_file,
                                 .env = options.env,
                                 .flags = {{"data_dir", fmt::format("{}/{}", home, name)},
                                           {"initial_cluster", ""},
                                           {"listen.grpc", Address(options, kTrackerGrpc)},
                                           {"listen.raft", Address(options, kTrackerRaft)},
                                           {"listen.resp", Address(options, kTrackerResp)},
                                           {"listen.admin", Address(options, tracker::App::kInfo.admin_port)}}}));
    return absl::OkStatus();
  }

  absl::Status MakePeerManager(const Options& options, const std::string& tracker) {
    const std::string name(peer_manager::App::kInfo.service);
    LARDER_ASSIGN_OR_RETURN(
        peer_manager_,
        PeerManager::Make(name, PeerManagerLoader(name),
                          {.file = options.config_file,
                           .env = options.env,
                           .flags = {{"tracker", tracker},
                                     {"listen.grpc", Address(options, kPeerManagerGrpc)},
                                     {"listen.admin", Address(options, peer_manager::App::kInfo.admin_port)}}}));
    return absl::OkStatus();
  }

  absl::Status MakeAgents(const Options& options, const std::string& home, const std::string& tracker,
                          const std::string& peer_manager) {
    for (int i = 0; i < options.agents; ++i) {
      const std::string name = fmt::format("node-{}", i);
      LARDER_ASSIGN_OR_RETURN(
          std::unique_ptr<Agent> agent,
          Agent::Make(name, AgentLoader(std::string(cache_agent::App::kInfo.service)),
                      {.file = options.config_file,
                       .env = options.env,
                       .flags = {{"node.name", name},
                                 {"tracker", tracker},
                                 {"peer_manager", peer_manager},
                                 {"socket_dir", fmt::format("{}/{}/sockets", home, name)},
                                 {"data_dir", fmt::format("{}/{}", home, name)},
                                 {"listen.pieces", Address(options, kAgentPieces, i)},
                                 {"listen.admin", Address(options, cache_agent::App::kInfo.admin_port, i)}}}));
      agents_.push_back(std::move(agent));
    }
    return absl::OkStatus();
  }

  std::unique_ptr<Tracker> tracker_;
  std::unique_ptr<PeerManager> peer_manager_;
  std::vector<std::unique_ptr<Agent>> agents_;
};

// The file exists while all serve, so whoever waits for it is not misled by an earlier run's.
class ReadyFile {
 public:
  explicit ReadyFile(std::string path) : path_(std::move(path)) { Remove(); }
  ~ReadyFile() { Remove(); }
  ReadyFile(const ReadyFile&) = delete;
  ReadyFile& operator=(const ReadyFile&) = delete;
  absl::Status Write(const std::string& text) {
    if (path_.empty()) return absl::OkStatus();
    const absl::Status written = base::WriteFileAtomically(path_, text);
    return written.ok() ? written
                        : base::InvalidArgument(base::Reason(written), "--ready-file: {}", base::Message(written));
  }

 private:
  void Remove() const {
    std::error_code ignored;
    if (!path_.empty()) fs::remove(path_, ignored);
  }
  const std::string path_;
};

}  // namespace

absl::Status Run(const Options& options, const std::function<absl::Status(const std::string&)>& say,
                 const std::function<void()>& wait) {
  LARDER_RETURN_IF_ERROR(CheckOptions(options));
  if (!options.config_file.empty()) LARDER_RETURN_IF_ERROR(CheckFile(options.config_file));
  Home home;
  LARDER_RETURN_IF_ERROR(home.Open(options));
  Cluster cluster;
  ReadyFile ready(options.ready_file);  // gone before the cluster stops
  LARDER_RETURN_IF_ERROR(cluster.Start(options, home.path()));
  LARDER_RETURN_IF_ERROR(ready.Write(cluster.ReadyText()));
  LARDER_RETURN_IF_ERROR(say(cluster.Told(home)));
  wait();
  return absl::OkStatus();
}

}  // namespace larder::cli_dev
