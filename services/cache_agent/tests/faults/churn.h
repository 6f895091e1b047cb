#pragma once
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "larder/client/client.h"

namespace larder::cache_agent {

// Its namespace.
inline constexpr char kChurnNamespace[] = "churn";
// The agent's flag for namespaces whose objects may be evicted, by a file that it makes in `dir`.
std::string EvictingFlag(const std::filesystem::path& dir, const std::vector<std::string>& namespaces);

// An honest client that keeps the agent's upkeep going, in a thread of its own until the end of its life.
class Churn {
 public:
  // Large objects, each in the place of another: the agent evicts. Or many small ones of which few are left: it moves
  // them together.
  enum class Kind { kEvicting, kCompacting };
  Churn(const std::string& endpoint, Kind kind);
  ~Churn();
  // What a call failed with last, which one may once the agent is gone.
  absl::Status failure() const;

 private:
  absl::Status Evict(uint64_t round);
  absl::Status Scatter(uint64_t round);

  std::unique_ptr<client::Client> client_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> code_ = 0;
  std::thread thread_;
};

}  // namespace larder::cache_agent
