#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/client/client.h"

namespace larder::cache_agent {

// An honest client, in a thread of its own until the end of its life: it puts a set of objects, reads them over and
// over, byte for byte, puts a small one in between, and keeps one mapped all the time. What it says is what others may
// not change.
class Witness {
 public:
  Witness(const std::string& endpoint, const std::string& ns);
  ~Witness();

  // Rounds over all objects so far.
  uint64_t rounds() const { return rounds_; }
  // Waits until `more` whole rounds have begun and ended; false if that takes more than a minute, or if something was
  // wrong.
  bool Verify(uint64_t more = 1);
  // What was wrong first; empty if nothing was.
  std::string Complaint() const LARDER_EXCLUDES(mutex_);

  // How long calls took since the last time this was asked.
  struct Times {
    size_t calls = 0;
    double get_p50 = 0;  // microseconds
    double get_p99 = 0;
    double put_p99 = 0;
  };
  Times TakeTimes() LARDER_EXCLUDES(mutex_);

 private:
  void Run();
  absl::Status Round(int number);
  absl::Status Check(const std::string& key, object::ObjectReader& reader);

  const std::string ns_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<object::ObjectReader> kept_;
  std::vector<std::pair<std::string, std::string>> objects_;  // key, bytes
  std::atomic<uint64_t> rounds_ = 0;
  std::atomic<bool> stop_ = false;
  mutable base::Mutex mutex_;
  std::string complaint_ LARDER_GUARDED_BY(mutex_);
  std::vector<double> gets_ LARDER_GUARDED_BY(mutex_);
  std::vector<double> puts_ LARDER_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace larder::cache_agent
