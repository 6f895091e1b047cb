#pragma once
#include <compare>
#include <cstdint>
#include <string>

#include "larder/base/bytes.h"

namespace larder::raft {

// Several groups may share a process, its sockets and its disks; today there is one.
struct GroupId {
  uint32_t value = 0;
  auto operator<=>(const GroupId&) const = default;
};

// A member of a group: never 0, never used again for another disk.
struct MemberId {
  uint64_t value = 0;
  auto operator<=>(const MemberId&) const = default;
};

// An entry's place in the log: the index counts from 1, the term is that of the leader who made it. {0, 0} is before
// the first entry.
struct LogPosition {
  uint64_t index = 0;
  uint64_t term = 0;
  auto operator<=>(const LogPosition&) const = default;
};

enum class EntryKind : uint8_t {
  kCommand = 0,         // for the state machine; empty: a new leader's first entry
  kConfiguration = 1,   // one member (the engine's ConfChange)
  kConfigurationV2 = 2  // several members, joint (ConfChangeV2)
};

struct LogEntry {
  LogPosition at;
  EntryKind kind = EntryKind::kCommand;
  std::string payload;
  bool operator==(const LogEntry&) const = default;
};

// What a member must never forget: its term, for whom it voted in it (0: nobody), and how far it knows the log to be
// committed (a hint that may be older than the truth).
struct HardState {
  uint64_t term = 0;
  uint64_t vote = 0;
  uint64_t commit = 0;
  bool operator==(const HardState&) const = default;
};

}  // namespace larder::raft
