#include "core/history.h"

#include <utility>
#include <vector>

#include "core/watch.h"
#include "larder/base/codec.h"

namespace larder::tracker {
namespace {

// Forgetting begins somewhat late, so that a search for the oldest row finds many to forget.
constexpr base::Duration kSlackTime = kHistoryTime / 64;
constexpr uint64_t kSlackEvents = kHistoryEvents / 64;
// How many rows an entry removes at most, beside one per event that it adds: faster than they come.
constexpr size_t kMaxForgotten = 256;

bool IsOver(const History& history, LogTime now, base::Duration time, uint64_t events) {
  return history.events > events || (history.events > 0 && After(history.oldest, time) <= now);
}

struct Head {
  LogTime at;
  uint32_t events = 0;
};

// The beginning of a HistoryRecord, whose rest may be long.
Head HeadOf(Reader& reader, std::string_view value) {
  base::ByteReader in(base::AsBytes(value));
  Head head{.at = LogTime{in.U64()}, .events = in.U32()};
  if (!in.ok()) DecodeRecord<HistoryRecord>(reader, value);  // fails the reader
  return head;
}

void Forget(Change& change, History& history, size_t at_most) {
  const std::string prefix = layout::HistoryPrefix();
  std::vector<std::string> rows;
  change.rows().Scan(prefix, layout::History(history.gone + 1), [&](std::string_view key, std::string_view value) {
    const Head head = HeadOf(change.rows(), value);
    history.oldest = head.at;
    if (rows.size() == at_most || !IsOver(history, change.now(), kHistoryTime, kHistoryEvents)) return false;
    history.events -= head.events;
    history.gone = layout::ParseNumber(key.substr(prefix.size()));
    rows.emplace_back(key);
    return true;
  });
  for (const std::string& row : rows) change.Erase(row);
}

}  // namespace

void Remember(Change& change, uint64_t index, History& history) {
  HistoryRecord record{.at = change.now(), .events = change.TakeEvents()};
  const size_t added = record.events.size();
  if (added > 0) {
    if (history.events == 0) history.oldest = record.at;
    history.events += added;
    change.Store(layout::History(index), record);
  }
  if (IsOver(history, change.now(), kHistoryTime + kSlackTime, kHistoryEvents + kSlackEvents)) {
    Forget(change, history, added + kMaxForgotten);
  }
}

}  // namespace larder::tracker
