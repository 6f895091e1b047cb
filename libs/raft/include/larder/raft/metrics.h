#pragma once
#include <absl/status/status.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "larder/base/clock.h"
#include "larder/observe/registry.h"
#include "larder/raft/log_store.h"
#include "larder/raft/node.h"

namespace larder::raft {

// What a proposal came to.
enum class ProposalResult : uint8_t { kOk, kFailed, kUnknown };
std::string_view LabelText(ProposalResult result);
std::string_view LabelText(Stage stage);

// larder_raft_*. Thread-safe.
class Metrics {
 public:
  explicit Metrics(observe::Registry& registry);
  void Synced(base::Duration took) { sync_.Observe(std::chrono::duration<double>(took).count()); }
  void StageTook(Stage stage, base::Duration took);
  void Proposed(const absl::Status& outcome, base::Duration took);
  // Reads both at each scrape, until Forget; they must live till then. One thread.
  void Watch(const Node& node, const LogStore& log);
  void Forget();

 private:
  observe::Registry& registry_;
  observe::Histogram& sync_;
  observe::Histogram& commit_;
  std::array<observe::Histogram*, 5> stages_;  // by Stage
  observe::Counters<ProposalResult> proposals_;
  std::vector<observe::Registry::Watch> watches_;
};

}  // namespace larder::raft
