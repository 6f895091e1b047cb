#pragma once
#include <gmock/gmock.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/cache_agent/app.h"
#include "larder/client/client.h"

namespace larder::cache_agent {

inline base::Deadline InTenSeconds() { return base::SystemClock().Now() + std::chrono::seconds(10); }

// One agent with a process of its own.
class Agent {
 public:
  // `clock` null: the kernel's.
  explicit Agent(Config config, const base::Clock* clock = nullptr)
      : config_(std::move(config)),
        process_({.admin = {.host = "127.0.0.1"},
                  .log = {.output =
                              [this](std::string_view line) {
                                base::MutexLock lock(mutex_);
                                lines_.emplace_back(line);
                              }},
                  .clock = clock}),
        app_(std::make_unique<App>(config_, process_)) {}

  absl::Status Start() { return app_->Start(); }
  void Stop() { app_->Stop(InTenSeconds()); }
  void Destroy() { app_.reset(); }
  std::unique_ptr<client::Client> Connect(const std::string& ns = "") {
    auto connected = client::Client::Connect("uds://" + config_.socket_dir, {.ns = ns, .retries = 0});
    EXPECT_THAT(connected, base::IsOk());
    return *std::move(connected);
  }
  std::string Metrics() { return process_.metrics().Render(); }
  // Until no client is connected, as /metrics has it; false after ten seconds. An agent hears of an end when its loop
  // comes to it.
  bool AwaitNoConnection() {
    const base::Deadline until = InTenSeconds();
    while (Metrics().find("larder_agent_connections 0\n") == std::string::npos) {
      if (base::SystemClock().Now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }
  // What /readyz says.
  bool ready() const { return process_.ready(); }
  std::vector<std::string> Lines() {
    base::MutexLock lock(mutex_);
    return lines_;
  }

 private:
  const Config config_;
  base::Mutex mutex_;
  std::vector<std::string> lines_ LARDER_GUARDED_BY(mutex_);
  rpc::Process process_;
  std::unique_ptr<App> app_;
};

class AppTest : public testing::Test {
 protected:
  Config Defaults(const std::string& name = "a") {
    return {.node_name = "node-" + name,
            .socket_dir = dir_ / (name + ".run"),
            .data_dir = dir_ / (name + ".data"),
            .arena = 16 * base::kMiB};
  }
  Config OnDisk() {
    Config config = Defaults();
    config.store = "file";
    return config;
  }
  base::TempDir dir_;
};

inline absl::Status Put(client::Client& client, const std::string& key, const std::string& text) {
  return client.Put({.key = key}, base::AsBytes(text)).status();
}

}  // namespace larder::cache_agent
