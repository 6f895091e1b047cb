#pragma once
#include <absl/status/status.h>

#include <span>
#include <string>
#include <vector>

#include "larder/raft/types.h"

namespace larder::raft {

// How far a state has come, kept inside it: it changes in the same atomic step as the data.
struct AppliedState {
  LogPosition at;
  std::string configuration;  // who is a member; encoded, the state machine only keeps it
  bool operator==(const AppliedState&) const = default;
};

struct Command {
  LogPosition at;
  base::ByteSpan payload;  // never empty; valid during the call
};

// What the log is for: the same commands in the same order make the same state and the same replies on every member.
// So Apply looks at nothing but the state and the commands: no clock, no randomness, no address, no hash order.
//
// Apply, Flush and applied are called on one thread.
class StateMachine {
 public:
  virtual ~StateMachine() = default;
  // What the state held when it was opened, and after each Apply.
  virtual const AppliedState& applied() const = 0;
  // Does `commands` in order, each seeing the ones before, and sets applied() to `after`, all in one atomic step.
  // Adds one reply per command; a command that is refused has its refusal as reply. An error is the environment's
  // (disk, damage): the process ends.
  virtual absl::Status Apply(std::span<const Command> commands, const AppliedState& after,
                             std::vector<std::string>& replies) = 0;
  // Makes what was applied so far survive the loss of power. OK: the log may be purged up to applied().
  virtual absl::Status Flush() = 0;
};

}  // namespace larder::raft
