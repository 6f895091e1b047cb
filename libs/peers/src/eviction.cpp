#include "src/eviction.h"

#include <algorithm>

namespace larder::peers {
namespace {

uint64_t Percent(uint64_t of, uint64_t percent) { return of / 100 * percent + of % 100 * percent / 100; }

// What a watermark asks for; `limit` 0: nothing.
uint64_t AboveWatermark(const Pressure& pressure) {
  if (pressure.used <= Percent(pressure.limit, kHighPercent) || pressure.limit == 0) return 0;
  return pressure.used - Percent(pressure.limit, kLowPercent);
}

// What is to go for its quota's sake.
uint64_t OverQuota(const NamespaceUse& use) {
  if (use.quota == 0) return 0;
  uint64_t over = use.bytes - std::min(use.bytes, use.quota);  // the quota was lowered
  if (use.asked > 0) {
    const uint64_t wanted = use.bytes + use.held + use.asked;
    const uint64_t missing = std::min(use.asked, wanted - std::min(wanted, use.quota));
    over = std::max(over, missing - std::min(missing, use.leaving));
  }
  return std::min(over, use.bytes);
}

}  // namespace

std::vector<Eviction> PlanEviction(const Pressure& pressure, std::span<const NamespaceUse> namespaces) {
  std::vector<Eviction> plan;
  // Who waits has found no room, whatever the sum says: room comes in pieces.
  uint64_t missing = std::max(AboveWatermark(pressure),
                              std::min(pressure.asked - std::min(pressure.asked, pressure.leaving), pressure.used));
  struct Left {
    const NamespaceUse* use;
    uint64_t bytes;
  };
  std::vector<Left> left;
  for (const NamespaceUse& use : namespaces) {
    if (!use.evictable || use.bytes == 0) continue;
    const uint64_t excess = OverQuota(use);
    if (excess > 0) plan.push_back({use.ns, excess, EvictReason::kQuota});
    missing -= std::min(missing, excess);
    left.push_back({&use, use.bytes - excess});
  }
  // The largest are brought down to the level of the next, until that is enough.
  std::ranges::sort(left, [](const Left& a, const Left& b) { return a.bytes > b.bytes; });
  for (size_t count = 1; missing > 0 && count <= left.size(); ++count) {
    const uint64_t next = count < left.size() ? left[count].bytes : 0;
    const uint64_t step = left[count - 1].bytes - next;
    if (step * count < missing && count < left.size()) {
      missing -= step * count;
      continue;
    }
    const uint64_t each = std::min(step, (missing + count - 1) / count);
    const uint64_t level = left[count - 1].bytes - each;
    for (size_t i = 0; i < count; ++i) {
      if (left[i].bytes > level) plan.push_back({left[i].use->ns, left[i].bytes - level, EvictReason::kRoom});
    }
    break;
  }
  return plan;
}

ParkedNeed NeedOfParked(const Pressure& pressure) {
  return {.room = std::max(AboveWatermark(pressure), pressure.asked), .by_quota = {}};
}

bool TakeFor(ParkedNeed& need, const std::string& ns, uint64_t bytes) {
  const auto quota = need.by_quota.find(ns);
  if (need.room == 0 && (quota == need.by_quota.end() || quota->second == 0)) return false;
  need.room -= std::min(need.room, bytes);
  if (quota != need.by_quota.end()) quota->second -= std::min(quota->second, bytes);
  return true;
}

}  // namespace larder::peers
