#pragma once
#include <cstdint>
#include <list>
#include <map>
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
  uint64_t limit = 0;    // 0: none
  uint64_t used = 0;     // of limit
  uint64_t asked = 0;    // by those who found no room
  uint64_t leaving = 0;  // evicted a moment ago, but not free yet: clients are asked for it
};
struct NamespaceUse {
  std::string ns;
  uint64_t bytes = 0;    // of its objects
  uint64_t held = 0;     // deleted, but still mapped; counts against the quota
  uint64_t quota = 0;    // 0: none
  uint64_t asked = 0;    // by those whom the quota refused
  uint64_t leaving = 0;  // of held: evicted a moment ago
  bool evictable = false;
};
struct Eviction {
  std::string ns;
  uint64_t bytes = 0;  // to be freed
  EvictReason reason{};
  bool operator==(const Eviction&) const = default;
};

// Room is made when more than kHighPercent is used, until no more than kLowPercent is, and for what is asked:
// namespaces over their quota first, down to it; what is missing then from the largest ones, which end up equal. Never
// asks a namespace that is not evictable, nor for more than it has.
inline constexpr uint64_t kHighPercent = 90;
inline constexpr uint64_t kLowPercent = 85;
std::vector<Eviction> PlanEviction(const Pressure& pressure, std::span<const NamespaceUse> namespaces);

// What copies that nobody goes on with are to give up, before anything else goes. `by_quota`: of a namespace's own.
struct ParkedNeed {
  uint64_t room = 0;
  std::map<std::string, uint64_t> by_quota;
};
// What is used beyond kHighPercent, down to kLowPercent, or what is asked for, if that is more; nobody's quota's.
ParkedNeed NeedOfParked(const Pressure& pressure);
// Whether a copy of `bytes` of the namespace goes; the need is less by that then.
bool TakeFor(ParkedNeed& need, const std::string& ns, uint64_t bytes);

// The order in which one namespace's objects go: CLOCK (Corbato, 1968). New ones come last; the first is spared, and
// comes last again, if it was used since it was last looked at. A use only sets a mark. Not thread-safe.
template <typename T>
class ClockQueue {
 public:
  struct Node {
    T item;
    bool used = false;
  };
  using Place = typename std::list<Node>::iterator;

  Place Insert(T item) { return nodes_.insert(nodes_.end(), Node{.item = std::move(item)}); }
  void Erase(Place place) { nodes_.erase(place); }
  static void Use(Place place) { place->used = true; }
  static void Replace(Place place, T item) { place->item = std::move(item); }

  // The next one to go, which stays until it is erased; looks at no more than `steps`, of which it takes each look.
  // Those for which `keep` is true are spared, and keep their mark. None: `steps` were not enough, or everything is
  // kept.
  template <typename Keep>
  std::optional<Place> Next(size_t& steps, const Keep& keep) {
    while (steps > 0 && !nodes_.empty()) {
      --steps;
      const Place first = nodes_.begin();
      if (!keep(first->item) && !std::exchange(first->used, false)) return first;
      nodes_.splice(nodes_.end(), nodes_, first);
    }
    return std::nullopt;
  }
  size_t size() const { return nodes_.size(); }
  bool empty() const { return nodes_.empty(); }

 private:
  std::list<Node> nodes_;
};

}  // namespace larder::peers
