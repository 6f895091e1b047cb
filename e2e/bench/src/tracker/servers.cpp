#include "src/tracker/servers.h"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "src/must.h"

namespace larder::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);
constexpr uint16_t kResp = 6379, kRaft = 7411, kGrpc = 7410, kAdmin = 7419, kEtcdClient = 2379, kEtcdPeer = 2380;

std::string HostOf(const std::string& net, size_t index) { return fmt::format("{}.{}", net, index + 1); }

bool Listens(const std::string& host, uint16_t port) {
  const int fd = ConnectTcp(host, port);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

// Whether a line of the metrics is exactly `line`.
bool Says(const std::string& host, uint16_t port, const std::string& line) {
  const auto page = httplib::Client(host, port).Get("/metrics");
  return page && page->body.find("\n" + line + "\n") != std::string::npos;
}

size_t AwaitLeader(const std::string& net, size_t count, uint16_t port, const std::string& line) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < until) {
    for (size_t i = 0; i < count; ++i) {
      if (Says(HostOf(net, i), port, line)) return i;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  Die("nobody leads, by the metrics of " + net + ".*");
}

std::string Joined(size_t count, const std::function<std::string(size_t)>& part) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += (i == 0 ? "" : ",") + part(i);
  return all;
}

std::vector<std::string> RedisCommand(const std::string& dir, const Endpoint& at) {
  std::filesystem::create_directory(dir);
  return {
      "redis-server", "--bind", at.host,         "--port", std::to_string(at.port),         "--dir", dir, "--save", "",
      "--appendonly", "yes",    "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"};
}

}  // namespace

// ---- trackers

Trackers::Trackers(const std::string& dir) : dir_(dir), net_(NewNet()), servers_(kCount) {
  std::filesystem::create_directory(dir_);
  for (size_t i = 0; i < kCount; ++i) Start(i);
}

void Trackers::Start(size_t index) {
  const std::string host = HostOf(net_, index);
  const auto at = [&](uint16_t port) { return fmt::format("{}:{}", host, port); };
  const std::string members =
      Joined(kCount, [&](size_t i) { return fmt::format("{}={}:{}", i + 1, HostOf(net_, i), kRaft); });
  const std::vector<std::string> command = {ProgramPath("larder-tracker"),
                                            "--data-dir",
                                            fmt::format("{}/{}", dir_, index + 1),
                                            "--raft-id",
                                            std::to_string(index + 1),
                                            "--initial-cluster",
                                            members,
                                            "--cluster",
                                            "bench",
                                            "--listen-raft",
                                            at(kRaft),
                                            "--listen-resp",
                                            at(kResp),
                                            "--listen-grpc",
                                            at(kGrpc),
                                            "--listen-admin",
                                            at(kAdmin)};
  servers_[index] = std::make_unique<Server>(command, kAnyCpu, [&] { return Listens(host, kResp); });
}

Endpoint Trackers::Resp(size_t index) const { return {.host = HostOf(net_, index), .port = kResp}; }

size_t Trackers::LeaderIndex() { return AwaitLeader(net_, kCount, kAdmin, "larder_raft_is_leader 1"); }

Endpoint Trackers::Leader() { return Resp(LeaderIndex()); }

std::string Trackers::LeaderGrpc() { return fmt::format("{}:{}", HostOf(net_, LeaderIndex()), kGrpc); }

std::vector<Endpoint> Trackers::All() const {
  std::vector<Endpoint> all;
  for (size_t i = 0; i < kCount; ++i) all.push_back(Resp(i));
  return all;
}

Trackers::Killed Trackers::KillLeader() {
  killed_ = LeaderIndex();
  const Moment sent = std::chrono::steady_clock::now();
  servers_[killed_]->Kill();
  return {.sent = sent, .gone = std::chrono::steady_clock::now()};
}

void Trackers::StartKilled() {
  Start(killed_);
  const auto until = std::chrono::steady_clock::now() + kPatience;
  const auto speak = [] { return SpeakResp(Verb::kSet, "caught up"); };
  // A member answers a write through itself once it follows a leader.
  Load load({.servers = {Resp(killed_)}, .speak = speak, .servers_may_fail = true});
  bool answered = false;
  load.Run(until, [&](const Load::Done&) {
    answered = true;
    return false;
  });
  if (!answered) Die("a tracker that was killed does not come back");
}

// ---- etcd

EtcdServers::EtcdServers(const std::string& dir) : net_(NewNet()) {
  constexpr size_t kCount = 3;
  std::filesystem::create_directory(dir);
  const auto url = [&](size_t i, uint16_t port) { return fmt::format("http://{}:{}", HostOf(net_, i), port); };
  const std::string members = Joined(kCount, [&](size_t i) { return fmt::format("m{}={}", i, url(i, kEtcdPeer)); });
  for (size_t i = 0; i < kCount; ++i) {
    const std::vector<std::string> command = {"etcd",
                                              "--name",
                                              fmt::format("m{}", i),
                                              "--data-dir",
                                              fmt::format("{}/m{}", dir, i),
                                              "--listen-client-urls",
                                              url(i, kEtcdClient),
                                              "--advertise-client-urls",
                                              url(i, kEtcdClient),
                                              "--listen-peer-urls",
                                              url(i, kEtcdPeer),
                                              "--initial-advertise-peer-urls",
                                              url(i, kEtcdPeer),
                                              "--initial-cluster",
                                              members};
    // It serves clients only once it knows a leader.
    servers_.push_back(std::make_unique<Server>(command, kAnyCpu, [&] { return Listens(HostOf(net_, i), kEtcdPeer); }));
  }
}

Endpoint EtcdServers::Leader() {
  const size_t index = AwaitLeader(net_, servers_.size(), kEtcdClient, "etcd_server_is_leader 1");
  return {.host = HostOf(net_, index), .port = kEtcdClient};
}

// ---- redis

SyncedRedis::SyncedRedis(const std::string& dir)
    : endpoint_{.host = NewNet() + ".1", .port = kResp},
      server_(RedisCommand(dir, endpoint_), kAnyCpu, [this] { return Listens(endpoint_.host, endpoint_.port); }) {}

}  // namespace larder::bench
