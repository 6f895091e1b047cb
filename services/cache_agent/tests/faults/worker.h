#pragma once
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "larder/base/mutex.h"
#include "larder/client/client.h"

namespace larder::cache_agent {

// An honest client that does everything in turn, at random, in a thread of its own until the end of its life: puts of
// all sizes, alone and many at once, reads that it checks byte for byte, deletes, and connections anew. Its namespace's
// objects may be evicted, and room may be short; all else that goes wrong is a complaint.
class Worker {
 public:
  Worker(const std::string& endpoint, std::string ns, int number);
  ~Worker();

  uint64_t written() const { return written_; }    // bytes sealed
  uint64_t verified() const { return verified_; }  // objects read and found to be as they were sealed
  // What was wrong first; empty if nothing was.
  std::string Complaint() const LARDER_EXCLUDES(mutex_);

 private:
  void Run();
  absl::Status Step();
  absl::Status Put();
  absl::Status PutMany();
  absl::Status Check(absl::StatusOr<std::unique_ptr<object::ObjectReader>>& reader, const std::string& key);

  const std::string endpoint_;
  const std::string ns_;
  const std::string prefix_;
  std::mt19937 random_;
  std::unique_ptr<client::Client> client_;
  std::atomic<uint64_t> written_ = 0;
  std::atomic<uint64_t> verified_ = 0;
  std::atomic<bool> stop_ = false;
  mutable base::Mutex mutex_;
  std::string complaint_ LARDER_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace larder::cache_agent
