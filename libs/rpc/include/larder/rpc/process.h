#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/observe/admin_server.h"
#include "larder/observe/logger.h"
#include "larder/observe/registry.h"

namespace larder::rpc {

// The version this was built as, "0.1.0".
std::string_view Version();

struct ProcessOptions {
  observe::AdminOptions admin;
  observe::LogOptions log;             // log.service names the service
  const base::Clock* clock = nullptr;  // borrowed; the kernel's clocks if null
  // Told what Fail was told, for tests; the process ends if it is empty.
  std::function<void(const absl::Status&)> on_fail;
};

// What an App is constructed from besides its Config: metrics, log, clock, readiness. One for each App, so that several
// live in one process. The App borrows it. Thread-safe, but for Start and Stop.
class Process {
 public:
  explicit Process(ProcessOptions options);
  ~Process();  // stops
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  observe::Registry& metrics() { return metrics_; }
  observe::Logger& log() { return log_; }
  const base::Clock& clock() const { return clock_; }

  // Opens the admin port, so that a start that takes long can be watched. Errors as of AdminServer::Start. An App in a
  // test does without.
  absl::Status Start() { return admin_.Start(); }
  void Stop() { admin_.Stop(); }
  // 0 before Start succeeded.
  uint16_t admin_port() const { return admin_.port(); }

  // It cannot go on (disk, damage, a bug): logs why, and ends the process at once, with the exit code of the error
  // table.
  void Fail(const absl::Status& why);

  // What /readyz says. The App sets it when it can serve, and clears it first of all when it stops.
  void SetReady(bool ready) { admin_.SetReady(ready); }
  bool ready() const { return admin_.ready(); }
  // What /configz shows.
  void SetConfigText(std::string text) LARDER_EXCLUDES(mutex_);

 private:
  std::string ConfigText() LARDER_EXCLUDES(mutex_);

  const base::SystemClock system_clock_;
  const base::Clock& clock_;
  observe::Registry metrics_;
  observe::Logger log_;
  base::Mutex mutex_;
  std::string config_text_ LARDER_GUARDED_BY(mutex_);
  const std::function<void(const absl::Status&)> on_fail_;
  observe::AdminServer admin_;
};

}  // namespace larder::rpc
