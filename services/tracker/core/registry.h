#pragma once
#include <absl/status/statusor.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/command.h"
#include "core/records.h"
#include "core/reply.h"
#include "core/table.h"
#include "larder/raft/state_machine.h"

namespace larder::tracker {

// The replicated state: what the log's entries made of the table, with how far they are applied, in one batch per
// Apply. The same entries make the same rows and the same replies, however they are grouped.
//
// One thread; others read snapshots of the table (core/queries.h).
class TrackerState final : public raft::StateMachine {
 public:
  // Goes on where the table is; an empty one is before the first entry. The table is borrowed. DATA_LOSS: it is
  // damaged, or no table of ours.
  static absl::StatusOr<std::unique_ptr<TrackerState>> Open(Table& table);

  const raft::AppliedState& applied() const override { return applied_; }
  // Payloads are entries (core/command.h), replies are EncodeReplies. An entry that is none: DATA_LOSS naming its
  // index. After an error nothing of the call was applied, and the state is not to be used any more.
  absl::Status Apply(std::span<const raft::Command> commands, const raft::AppliedState& after,
                     std::vector<std::string>& replies) override;
  absl::Status Flush() override { return table_.Flush(); }

  // The objects that the last Apply made and removed.
  const RecordChanges& record_changes() const { return record_changes_; }
  // The log time of the last entry: a leader's own goes on from here.
  LogTime now() const { return meta_.now; }

 private:
  TrackerState(Table& table, Meta meta);

  Table& table_;
  Meta meta_;  // as in the table
  raft::AppliedState applied_;
  RecordChanges record_changes_;
};

}  // namespace larder::tracker
