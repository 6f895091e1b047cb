#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/units.h"
#include "larder/raft/log_store.h"
#include "larder/raft/membership.h"
#include "larder/raft/state_machine.h"
#include "src/engine_abi.h"

namespace larder::raft {

struct EngineOptions {
  MemberId self;
  uint64_t seed = 0;  // of election timeouts
  uint64_t election_ticks = 10;
  uint64_t heartbeat_ticks = 2;
  // 12 MiB on their way to one member, and one entry more: less than the transport's queue takes, so that nothing is
  // dropped of what a member far behind is sent.
  uint64_t message_bytes = 128 * base::kKiB;
  uint64_t inflight_messages = 96;
  uint64_t uncommitted_bytes = 64 * base::kMiB;
  uint64_t unapplied_bytes = 64 * base::kMiB;
  uint64_t cached_bytes = 32 * base::kMiB;
};

// engine_abi.h with C++ types: one call each, which its comments explain. One thread at a time; `log` must outlive it,
// and hold what was written when Create is called.
//
// Errors: INVALID_ARGUMENT (RAFT_INVALID), FAILED_PRECONDITION (NOT_LEADER), UNAVAILABLE (NOT_READY),
// RESOURCE_EXHAUSTED (RAFT_BUSY). INTERNAL (RAFT_PANIC): the engine is of no more use, and the process has to end.
class Engine {
 public:
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const EngineOptions& options, const LogStore& log,
                                                        const AppliedState& applied);
  ~Engine();

  absl::Status Tick();
  absl::Status Campaign();
  absl::Status Step(base::ByteSpan message);
  // The position of the first.
  absl::StatusOr<LogPosition> Propose(std::span<const base::ByteSpan> payloads);
  absl::StatusOr<LogPosition> ProposeChange(std::span<const larder_raft_change> changes);
  absl::Status ReadIndex(base::ByteSpan context);
  bool HasReady() const;
  absl::StatusOr<larder_raft_ready> ReadyBegin();
  absl::Status ReadyEnd();
  absl::Status OnPersistReady(uint64_t number);
  absl::Status AppliedTo(uint64_t index);
  // The configuration from here on. FAILED_PRECONDITION (CHANGE_REFUSED): all members refuse it, the entry is skipped.
  absl::StatusOr<std::string> ApplyChange(const LogEntry& change);
  absl::Status Compact(uint64_t index);
  absl::Status ReportUnreachable(MemberId member);
  absl::Status ReportSnapshot(MemberId member, bool arrived);
  absl::Status TransferLeader(MemberId member);
  // All zero once it panicked.
  larder_raft_status status() const;
  std::vector<larder_raft_progress> progress() const;

 private:
  explicit Engine(const LogStore& log) : log_(log) {}
  absl::Status Checked(int32_t code) const;
  static int32_t ReadEntries(void* host, uint64_t first, uint64_t end, uint64_t max_bytes, larder_raft_push push,
                             void* sink);
  static int32_t ReadTerm(void* host, uint64_t index, uint64_t* term);
  static int32_t FindSnapshot(void* host, uint64_t at_least, uint64_t to, larder_raft_snapshot* snapshot);

  const LogStore& log_;
  larder_raft* raft_ = nullptr;
};

inline larder_raft_bytes ToRaft(base::ByteSpan bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}
inline base::ByteSpan FromRaft(larder_raft_bytes bytes) {
  return {reinterpret_cast<const std::byte*>(bytes.data), bytes.size};
}

}  // namespace larder::raft
