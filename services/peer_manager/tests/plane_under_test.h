#pragma once
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "larder/base/mutex.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/peer_manager/app.h"
#include "larder/peers/v1/peers.grpc.pb.h"
#include "larder/tracker/app.h"
#include "larder/tracker/v1/tracker.grpc.pb.h"

namespace larder::peer_manager {

// T_s of the tests: long enough for a machine with other things to do.
inline constexpr base::Duration kSession = std::chrono::milliseconds(1000);
inline constexpr base::Duration kLeaderTtl = std::chrono::milliseconds(800);

// What holds soon, or never. Bounded at many times of what it takes.
bool Soon(const std::function<bool()>& holds);

// A manager's or tracker's App with a process of its own.
template <typename App>
class Hosted {
 public:
  explicit Hosted(const typename App::Config& config)
      : process_({.admin = {.host = "127.0.0.1"}, .log = {.output = [](std::string_view) {}}}),
        app_(std::make_unique<App>(config, process_)) {}
  absl::Status Start() { return app_->Start(); }
  void Stop() { app_->Stop(base::SystemClock().Now() + std::chrono::seconds(10)); }
  std::string address() const { return app_->grpc_address(); }
  std::string Metrics() { return process_.metrics().Render(); }

 private:
  rpc::Process process_;
  std::unique_ptr<App> app_;
};

// Asks a manager, whatever process it is in.
class ManagerCalls {
 public:
  explicit ManagerCalls(const std::string& address);
  peers::v1::StatusResponse Status();
  bool Leads() { return Status().leads(); }
  // UNSPECIFIED: it is not shown.
  peers::v1::NodeState StateOf(const std::string& node);
  peers::v1::PeerManager::Stub& stub() { return *stub_; }

 private:
  std::unique_ptr<peers::v1::PeerManager::Stub> stub_;
};

// Asks the tracker.
class TrackerCalls {
 public:
  explicit TrackerCalls(const std::string& address);
  // Its node epoch.
  uint64_t Register(const std::string& node);
  bool IsFenced(const std::string& node);
  // Whether a manager has the lease of those who lead.
  bool SomeoneLeads();
  void SetDraining(const std::string& node, bool draining);
  // Whether the node was told so.
  bool NodeAlive(const std::string& node, uint64_t epoch);

 private:
  tracker::v1::ApplyResponse Apply(const std::string& command);
  std::unique_ptr<tracker::v1::Tracker::Stub> stub_;
};

// A node that beats, on a thread of its own, until it is silenced or its session ends.
class BeatingNode {
 public:
  BeatingNode(const std::string& manager, const std::string& node, uint64_t epoch);
  ~BeatingNode() { Silence(); }
  // Breaks the session.
  void Silence() LARDER_EXCLUDES(mutex_);

 private:
  void Run(const std::string& node, uint64_t epoch);
  bool WaitForBeat() LARDER_EXCLUDES(mutex_);

  ManagerCalls manager_;
  grpc::ClientContext context_;
  base::Mutex mutex_;
  base::CondVar changed_;
  bool silenced_ LARDER_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// A tracker, and what managers of it are made from.
class PlaneTest : public testing::Test {
 protected:
  PlaneTest();
  ~PlaneTest() override;
  Config ConfigOf() const;
  static tracker::Config TrackerConfig(const std::string& dir, const std::string& grpc);

  base::TempDir dir_;
  std::unique_ptr<Hosted<tracker::App>> tracker_;
  std::unique_ptr<TrackerCalls> registry_;
};

}  // namespace larder::peer_manager
