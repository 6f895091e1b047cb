#pragma once
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/events.h"
#include "core/records.h"
#include "core/table.h"
#include "larder/base/clock.h"

// The history of the registry: what each entry of the log changed, in order, on every member the same. A revision is
// the index of an entry. To follow a part of the registry: list it from a snapshot, then read on from that snapshot's
// EndOfHistory; that leaves out and repeats nothing, on whichever member it goes on.
namespace larder::tracker {

// At least so much is kept, by log time and unless it is more than so many events.
inline constexpr base::Duration kHistoryTime = std::chrono::minutes(10);
inline constexpr uint64_t kHistoryEvents = 1'000'000;

// Before the `ordinal`th event (from 0) of the entry `revision`. The default is the beginning of all. A page may end
// within an entry, and goes on there.
struct WatchPosition {
  uint64_t revision = 0;
  uint32_t ordinal = 0;
  auto operator<=>(const WatchPosition&) const = default;
};

// What is left empty does not restrict.
struct WatchFilter {
  std::string ns;                // events of objects in it
  std::string prefix;            // of their keys, or of the key that one is renamed to; needs `ns`
  std::string node;              // events that name the node
  std::vector<EventKind> kinds;  // of any of these
};

struct WatchedEvent {
  uint64_t revision = 0;
  LogTime at;
  Event event;
  bool operator==(const WatchedEvent&) const = default;
};

struct WatchPage {
  std::vector<WatchedEvent> events;
  WatchPosition next;  // also when nothing matched: it has come so far
  bool more = false;   // there is more to look at; else `next` is the end of history, till the next entry is applied
};

// The events from a position on, at most `limit` (1..kMaxPage in core/queries.h), perhaps fewer. From a position that
// this member has not reached yet there are none. OUT_OF_RANGE (REVISION_GONE): not all of them are kept any more: list
// anew. INVALID_ARGUMENT for a limit or namespace that is none.
absl::StatusOr<WatchPage> Events(Reader& snapshot, const WatchPosition& from, const WatchFilter& filter,
                                 uint32_t limit);

// Behind all that the snapshot holds.
absl::StatusOr<WatchPosition> EndOfHistory(Reader& snapshot);

}  // namespace larder::tracker
