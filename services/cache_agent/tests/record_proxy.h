#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <thread>

#include "larder/base/unique_fd.h"

namespace larder::cache_agent {

// Stands between one client and the agent on data.sock, and passes records on with their descriptors. The client finds
// data.sock in `client_dir`.
class RecordProxy {
 public:
  enum class From { kClient, kAgent };
  enum class Verdict { kPass, kCut };  // cut: both connections end, and the record with them
  // Looks at each record before it is passed on, and may change it; on the proxy's thread.
  using Look = std::function<Verdict(From from, std::span<std::byte> record)>;

  RecordProxy(const std::filesystem::path& client_dir, std::filesystem::path agent_dir, Look look = nullptr);
  ~RecordProxy();  // waits for the client's connection to end, if there was one

  uint64_t bytes() const { return bytes_; }
  uint64_t fds() const { return fds_; }

 private:
  void Run();
  bool PassOn(int from, int to, From side);

  const std::filesystem::path agent_dir_;
  const Look look_;
  base::UniqueFd listener_;
  std::atomic<uint64_t> bytes_ = 0;
  std::atomic<uint64_t> fds_ = 0;
  std::thread thread_;
};

}  // namespace larder::cache_agent
