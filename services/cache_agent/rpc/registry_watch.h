#pragma once
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/object/ids.h"
#include "larder/observe/logger.h"

namespace grpc {
class ClientContext;
}

namespace larder::cache_agent {

// Hears from a tracker, at any of the addresses, which objects ended or have another version now. Goes on where it was
// at the next address, for as long as the trackers remember what it has missed. Start and Stop from one thread.
class RegistryWatch {
 public:
  // Called on the watch's thread, must not block.
  struct Events {
    std::function<void(const object::ObjectId&)> changed;
    std::function<void()> missed;  // anything may have changed: at the beginning, and after too long a silence
  };
  // HOST:PORT, one at least. Borrows the log.
  RegistryWatch(std::vector<std::string> addresses, Events events, observe::Logger& log);
  ~RegistryWatch();  // stops
  void Start();
  // No more calls once it returns. Idempotent.
  void Stop() LARDER_EXCLUDES(mutex_);

 private:
  struct Position;
  void Run() LARDER_EXCLUDES(mutex_);
  // Until the stream ends; whether something came.
  bool Follow(const std::string& address, Position& position) LARDER_EXCLUDES(mutex_);
  bool AwaitRetry(int failures) LARDER_EXCLUDES(mutex_);

  const std::vector<std::string> addresses_;
  const Events events_;
  observe::Logger& log_;
  base::Mutex mutex_;
  base::CondVar stop_;
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* under_way_ LARDER_GUARDED_BY(mutex_) = nullptr;
  std::thread thread_;
};

}  // namespace larder::cache_agent
