#pragma once
#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "larder/client/client.h"

namespace larder::cache_agent {

// What an honest client does, and how long it takes.
enum class Call : size_t { kGetSmall, kPutSmall, kGetLarge, kPutLarge };
inline constexpr std::array<std::string_view, 4> kCallNames = {"get 4 KiB", "put 4 KiB", "get 1 MiB", "put 1 MiB"};
// The 99th percentile of each, in microseconds; the median of fewer than 100 calls, which tell no more.
using Latencies = std::array<double, kCallNames.size()>;

// An honest client with objects of 4 KiB and 1 MiB, which it reads and overwrites. One thread.
class Neighbour {
 public:
  // Throws std::runtime_error if the agent refuses it.
  Neighbour(const std::string& endpoint, const std::string& ns);
  // Makes `calls` of each kind, in turns. Throws likewise.
  Latencies Measure(int calls);

 private:
  void Make(Call call);

  std::unique_ptr<client::Client> client_;
  const std::string small_, large_;
};

}  // namespace larder::cache_agent
