#pragma once
#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/events.h"
#include "core/layout.h"
#include "core/records.h"
#include "core/reply.h"
#include "core/table.h"

namespace larder::tracker {

// What an entry may look at and change: the rows, the log time, the counter. Nothing else, so that the same entries
// make the same rows on every member. A failed read is found at the commit: until then it looks like a row that is not
// there.
class Change {
 public:
  // Both outlive it; `meta` is stored by whoever commits the batch.
  Change(Batch& rows, Meta& meta) : rows_(rows), meta_(meta) {}

  Batch& rows() { return rows_; }
  LogTime now() const { return meta_.now; }
  uint64_t& sessions() { return meta_.sessions; }
  // A number that was not given before.
  template <typename StrongId>
  StrongId New() {
    return StrongId{++meta_.last_id};
  }

  template <HasFields R>
  std::optional<R> Load(std::string_view key) {
    return tracker::Load<R>(rows_, key);
  }
  template <HasFields R>
  void Store(std::string_view key, const R& record) {
    rows_.Put(key, EncodeRecord(record));
  }
  void Erase(std::string_view key) { rows_.Delete(key); }
  bool Has(std::string_view key) { return rows_.Get(key).has_value(); }

  // Watchers are told of it.
  void Tell(Event event) { events_.push_back(std::move(event)); }
  void Tell(EventKind kind, NodeRef node) { Tell({.kind = kind, .node = std::move(node)}); }
  // Since it was asked for the last time.
  std::vector<Event> TakeEvents() { return std::exchange(events_, {}); }

  // Objects came (above 0) or went, for whoever counts them.
  void CountRecord(std::string_view ns, int64_t by) {
    const auto count = records_.find(ns);
    (count == records_.end() ? records_[std::string(ns)] : count->second) += by;
  }
  const RecordChanges& records() const { return records_; }

  // `id` is due at `to`, no longer at `from`; kNever is not at all.
  void MoveDue(layout::DueKind kind, std::string_view id, LogTime from, LogTime to) {
    if (from == to) return;
    if (from != kNever) rows_.Delete(layout::Due(kind, from, id));
    if (to != kNever) Store(layout::Due(kind, to, id), Mark{});
  }

 private:
  Batch& rows_;
  Meta& meta_;
  std::vector<Event> events_;
  RecordChanges records_;
};

template <typename... Args>
Refusal Refuse(absl::StatusCode code, std::string_view reason, fmt::format_string<Args...> format, Args&&... args) {
  return {.code = code, .reason = std::string(reason), .message = fmt::format(format, std::forward<Args>(args)...)};
}

}  // namespace larder::tracker
