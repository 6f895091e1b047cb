#include "core/watch.h"

#include <algorithm>

#include "core/layout.h"
#include "core/queries.h"
#include "larder/base/status.h"

namespace larder::tracker {
namespace {

// Of how many events one page looks for some that match.
constexpr size_t kMaxLookedAt = 20'000;

bool InPrefix(const EventObject& object, const WatchFilter& filter) {
  if (object.id.ns != filter.ns) return false;
  return object.id.key.starts_with(filter.prefix) || (!object.to.empty() && object.to.starts_with(filter.prefix));
}

bool Matches(const Event& event, const WatchFilter& filter) {
  if (!filter.kinds.empty() && std::ranges::find(filter.kinds, event.kind) == filter.kinds.end()) return false;
  if (!filter.node.empty() && (!event.node || event.node->node != filter.node)) return false;
  return filter.ns.empty() || (event.object && InPrefix(*event.object, filter));
}

}  // namespace

absl::StatusOr<WatchPage> Events(Reader& snapshot, const WatchPosition& from, const WatchFilter& filter,
                                 uint32_t limit) {
  LARDER_RETURN_IF_ERROR(CheckPage(limit));
  if (!filter.ns.empty() || !filter.prefix.empty()) LARDER_RETURN_IF_ERROR(object::CheckNamespace(filter.ns));
  const Meta meta = Load<Meta>(snapshot, layout::Meta()).value_or(Meta());
  if (meta.history.gone > 0 && from.revision <= meta.history.gone) {
    LARDER_RETURN_IF_ERROR(snapshot.status());
    return base::Error(absl::StatusCode::kOutOfRange, "REVISION_GONE",
                       "events up to revision {} are gone, {} was asked for (list anew, and watch from there)",
                       meta.history.gone, from.revision);
  }
  WatchPage page{.next = std::max(from, WatchPosition{.revision = meta.applied_index + 1})};
  size_t looked_at = 0;
  const std::string prefix = layout::HistoryPrefix();
  snapshot.Scan(prefix, layout::History(from.revision), [&](std::string_view key, std::string_view value) {
    const uint64_t revision = layout::ParseNumber(key.substr(prefix.size()));
    const auto record = DecodeRecord<HistoryRecord>(snapshot, value);
    if (!record) return false;
    for (uint32_t i = revision == from.revision ? from.ordinal : 0; i < record->events.size(); ++i) {
      page.more = page.events.size() == limit || looked_at++ == kMaxLookedAt;
      if (page.more) {
        page.next = {revision, i};
        return false;
      }
      if (Matches(record->events[i], filter)) page.events.push_back({revision, record->at, record->events[i]});
    }
    return true;
  });
  LARDER_RETURN_IF_ERROR(snapshot.status());
  return page;
}

absl::StatusOr<WatchPosition> EndOfHistory(Reader& snapshot) {
  const auto meta = Load<Meta>(snapshot, layout::Meta());
  LARDER_RETURN_IF_ERROR(snapshot.status());
  return WatchPosition{.revision = meta ? meta->applied_index + 1 : 0};
}

}  // namespace larder::tracker
