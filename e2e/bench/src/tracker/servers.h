#pragma once
#include <memory>
#include <string>
#include <vector>

#include "src/server.h"
#include "src/tracker/load.h"

namespace larder::bench {

// Three trackers, all of them voters, each with a directory under `dir` and an address of its own.
class Trackers {
 public:
  explicit Trackers(const std::string& dir);
  // Of RESP. Waits until one leads, or dies.
  Endpoint Leader();
  // HOST:PORT of its gRPC, likewise.
  std::string LeaderGrpc();
  std::vector<Endpoint> All() const;
  // SIGKILL to the leader: when it was sent, and when the leader was no more.
  struct Killed {
    Moment sent;
    Moment gone;
  };
  Killed KillLeader();
  // Starts who was killed, and waits until it reads what a quorum knows.
  void StartKilled();

 private:
  static constexpr size_t kCount = 3;
  size_t LeaderIndex();
  Endpoint Resp(size_t index) const;
  void Start(size_t index);
  std::string dir_;
  std::string net_;
  std::vector<std::unique_ptr<Server>> servers_;
  size_t killed_ = kCount;
};

// Debian's etcd, three members likewise, with its defaults.
class EtcdServers {
 public:
  explicit EtcdServers(const std::string& dir);
  // Of its gRPC. Waits until one leads, or dies.
  Endpoint Leader();

 private:
  std::string net_;
  std::vector<std::unique_ptr<Server>> servers_;
};

// redis-server, alone, which syncs its log before it answers.
class SyncedRedis {
 public:
  explicit SyncedRedis(const std::string& dir);
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  Endpoint endpoint_;
  Server server_;
};

}  // namespace larder::bench
