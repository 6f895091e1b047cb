#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "larder/raft/types.h"

namespace larder::raft {

// The engine's messages (eraftpb), written by hand: what no member of ours would send.
enum class MessageKind : uint8_t {
  kHup = 0,
  kPropose = 2,
  kAppend = 3,
  kAppendResponse = 4,
  kSnapshot = 7,
  kHeartbeat = 8,
  kTransferLeader = 13,
  kTimeoutNow = 14,
  kReadIndex = 15,
  kReadIndexResponse = 16,
};

struct RawMessage {
  MessageKind kind = MessageKind::kAppend;
  uint64_t to = 1, from = 2, term = 1;
  uint64_t log_term = 0, index = 0;
  std::vector<LogEntry> entries;
  uint64_t commit = 0;
  uint64_t snapshot_index = 0, snapshot_term = 0;
  std::vector<uint64_t> snapshot_voters;
};

std::string Encode(const RawMessage& message);

}  // namespace larder::raft
