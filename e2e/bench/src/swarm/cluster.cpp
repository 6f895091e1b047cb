#include "src/swarm/cluster.h"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "larder/base/unique_fd.h"

namespace larder::bench {
namespace {

constexpr uint16_t kTrackerGrpc = 7410, kTrackerRaft = 7411, kTrackerAdmin = 7419, kManagerGrpc = 7420,
                   kManagerAdmin = 7429, kAgentPieces = 7461, kAgentAdmin = 7469;
constexpr auto kPatience = std::chrono::seconds(30);

std::string At(const std::string& host, uint16_t port) { return fmt::format("{}:{}", host, port); }

// The value of a series of a service's metrics; 0: it does not say it.
double Metric(const std::string& host, uint16_t admin, const std::string& series) {
  const auto page = httplib::Client(host, admin).Get("/metrics");
  const std::string start = "\n" + series + " ";
  const size_t found = page ? page->body.find(start) : std::string::npos;
  return found == std::string::npos ? 0 : std::stod(page->body.substr(found + start.size()));
}

void Await(const std::function<bool()>& ready, const std::string& what) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!ready()) {
    if (std::chrono::steady_clock::now() > until) Die(what + ": not in time");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

bool Connects(const std::string& host, uint16_t port) { return base::UniqueFd(ConnectTcp(host, port)).valid(); }

std::vector<std::string> TrackerCommand(const std::string& dir, const std::string& host) {
  return {ProgramPath("larder-tracker"),
          "--data-dir=" + dir,
          "--raft-id=1",
          "--initial-cluster=1=" + At(host, kTrackerRaft),
          "--listen-raft=" + At(host, kTrackerRaft),
          "--listen-grpc=" + At(host, kTrackerGrpc),
          "--listen-resp=" + At(host, 6379),
          "--listen-admin=" + At(host, kTrackerAdmin)};
}

}  // namespace

std::string Cluster::HostOf(size_t number) const { return fmt::format("{}.{}", net_, number + 1); }

Cluster::Cluster(const Options& options) : net_(NewNet()) {
  std::filesystem::create_directory(options.dir);
  const std::string tracker = HostOf(0), manager = HostOf(1);
  tracker_ = std::make_unique<Server>(TrackerCommand(options.dir + "/tracker", tracker), kAnyCpu,
                                      [&] { return Metric(tracker, kTrackerAdmin, "larder_raft_is_leader") == 1; });
  if (options.peer_manager) {
    const std::vector<std::string> command = {
        ProgramPath("larder-peer-manager"), "--tracker=" + At(tracker, kTrackerGrpc),
        "--listen-grpc=" + At(manager, kManagerGrpc), "--listen-admin=" + At(manager, kManagerAdmin)};
    manager_ = std::make_unique<Server>(command, kAnyCpu, [&] { return Connects(manager, kManagerGrpc); });
  }
  for (size_t i = 0; i < options.agents; ++i) {
    const std::string host = HostOf(2 + i), dir = fmt::format("{}/{}", options.dir, i);
    std::vector<std::string> command = {ProgramPath("larder-agent"),
                                        fmt::format("--node-name=node-{}", i),
                                        "--tracker=" + At(tracker, kTrackerGrpc),
                                        "--identity=open",
                                        "--socket-dir=" + dir + "/run",
                                        "--data-dir=" + dir + "/data",
                                        "--listen-pieces=" + At(host, kAgentPieces),
                                        "--listen-admin=" + At(host, kAgentAdmin)};
    if (options.peer_manager) command.push_back("--peer-manager=" + At(manager, kManagerGrpc));
    command.insert(command.end(), options.flags.begin(), options.flags.end());
    std::filesystem::create_directory(dir);
    const auto ready = [&] { return base::UniqueFd(ConnectUnix(dir + "/run/data.sock", SOCK_SEQPACKET)).valid(); };
    agents_.push_back(std::unique_ptr<Agent>(new Agent{.server{command, kAnyCpu, ready}}));
    agents_.back()->client = Must(client::Client::Connect("uds://" + dir + "/run"));
  }
  const auto live = static_cast<double>(options.agents);
  Await(
      [&] {
        return manager_ == nullptr || Metric(manager, kManagerAdmin, R"(larder_peers_nodes{state="live"})") == live;
      },
      "all agents live");
}

double Cluster::Sent(size_t agent) const {
  return Metric(HostOf(2 + agent), kAgentAdmin, R"(larder_transfer_bytes_total{direction="out",source="peer"})");
}

void Cluster::Delete(const std::string& key) {
  Must(agents_.front()->client->Delete(key));
  for (const auto& agent : agents_) {
    Await([&] { return Must(agent->client->List({.prefix = key, .local = true})).objects.empty(); },
          "an object is deleted everywhere");
  }
}

}  // namespace larder::bench
