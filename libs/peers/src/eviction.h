#pragma once
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

// What is dropped when room is short. Pure.
namespace larder::peers {

enum class EvictReason : uint8_t { kRoom, kQuota };

// How things stand, in bytes.
struct Pressure {
  uint64_t limit = 0;  // 0: none
  uint64_t used = 0;   // of limit
  uint64_t asked = 0;  // by whoever waits for room
};
struct NamespaceUse {
  std::string ns;
  uint64_t bytes = 0;
  uint64_t quota = 0;  // 0: none
  uint64_t asked = 0;  // by whoever waits for room below the quota
  bool evictable = false;
};
struct Eviction {
  std::string ns;
  uint64_t bytes = 0;  // to be freed
  EvictReason reason{};
  bool operator==(const Eviction&) const = default;
};

// Room is made when more than kHighPercent is used, until no more than kLowPercent is, and for what is asked:
// namespaces near or over their quota first, each down to kLowPercent of it; what is missing then from the largest
// ones, which end up equal. Never asks a namespace that is not evictable, nor for more than it has.
inline constexpr uint64_t kHighPercent = 90;
inline constexpr uint64_t kLowPercent = 85;
std::vector<Eviction> PlanEviction(const Pressure& pressure, std::span<const NamespaceUse> namespaces);

// The order in which one namespace's objects go: SIEVE (Zhang et al., NSDI 2024). New ones come in front; a hand walks
// from the back to the front and spares what was used since it last passed. A use only sets a mark. Not thread-safe.
template <typename T>
class SieveQueue {
 public:
  struct Node {
    T item;
    bool used = false;
  };
  using Place = typename std::list<Node>::iterator;

  Place Insert(T item) { return nodes_.insert(nodes_.begin(), Node{.item = std::move(item)}); }
  void Erase(Place place) {
    if (hand_ && *hand_ == place) Step();
    nodes_.erase(place);
    if (nodes_.empty()) hand_.reset();
  }
  static void Use(Place place) { place->used = true; }
  static void Replace(Place place, T item) { place->item = std::move(item); }

  // The next one to go, which stays until it is erased; looks at no more than `steps`. Those for which `keep` is true
  // are passed over and lose no mark. None: `steps` were not enough, or everything is kept.
  template <typename Keep>
  std::optional<Place> Next(size_t steps, const Keep& keep) {
    for (; steps > 0 && !nodes_.empty(); --steps) {
      if (!hand_) hand_ = std::prev(nodes_.end());
      const Place at = *hand_;
      if (keep(at->item)) {
        Step();
      } else if (std::exchange(at->used, false)) {
        Step();
      } else {
        return at;
      }
    }
    return std::nullopt;
  }
  size_t size() const { return nodes_.size(); }
  bool empty() const { return nodes_.empty(); }

 private:
  // Towards the front; from there to the back again.
  void Step() {
    if (*hand_ == nodes_.begin()) {
      hand_.reset();
    } else {
      --*hand_;
    }
  }
  std::list<Node> nodes_;
  std::optional<Place> hand_;
};

}  // namespace larder::peers
