#include "tests/faults/neighbour.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>
#include <vector>

#include "larder/base/units.h"
#include "tests/faults/busy_client.h"

namespace larder::cache_agent {
namespace {

constexpr int kMany = 100;
constexpr int kPause = 1;  // ms between calls, in which others may fill all queues that there are

template <typename T>
T OrThrow(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

}  // namespace

Neighbour::Neighbour(const std::string& endpoint, const std::string& ns)
    : client_(OrThrow(client::Client::Connect(endpoint, {.ns = ns}))),
      small_(Pattern("small", 4 * base::kKiB)),
      large_(Pattern("large", base::kMiB)) {
  OrThrow(client_->Put({.key = "near/small", .overwrite = true}, base::AsBytes(small_)));
  OrThrow(client_->Put({.key = "near/large", .overwrite = true}, base::AsBytes(large_)));
}

void Neighbour::Make(Call call) {
  switch (call) {
    case Call::kGetSmall:
      OrThrow(client_->Get("near/small"));
      return;
    case Call::kGetLarge:
      OrThrow(client_->Get("near/large"));
      return;
    case Call::kPutSmall:
      OrThrow(client_->Put({.key = "near/put", .overwrite = true}, base::AsBytes(small_)));
      return;
    case Call::kPutLarge:
      OrThrow(client_->Put({.key = "near/put", .overwrite = true}, base::AsBytes(large_)));
      return;
  }
}

Latencies Neighbour::Measure(int calls) {
  std::array<std::vector<double>, kCallNames.size()> times;
  for (int i = 0; i < calls; ++i) {
    for (size_t call = 0; call < times.size(); ++call) {
      ::poll(nullptr, 0, kPause);
      const auto begun = std::chrono::steady_clock::now();
      Make(static_cast<Call>(call));
      const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begun;
      times[call].push_back(took.count());
    }
  }
  const double share = calls < kMany ? 0.5 : 0.99;
  Latencies latencies{};
  for (size_t call = 0; call < times.size(); ++call) {
    const auto at = times[call].begin() + static_cast<ptrdiff_t>(share * static_cast<double>(calls - 1));
    std::ranges::nth_element(times[call], at);
    latencies[call] = *at;
  }
  return latencies;
}

}  // namespace larder::cache_agent
