#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "core/cluster_commands.h"
#include "core/ids.h"
#include "core/inventory_commands.h"
#include "core/object_commands.h"
#include "larder/base/bytes.h"
#include "larder/base/clock.h"

// What the log holds. Each command is refused, as a reply, for the reasons its comment gives, beside INVALID_ARGUMENT
// for names, sizes and durations that are none. A kind's number, and the order of its fields, are for ever: a change is
// a new kind. docs/formats/golden/tracker has the bytes.
namespace larder::tracker {

using Command =
    std::variant<RegisterNode, RegisterWithKey, FenceNode, MarkNode, AcquireCreate, RenewCreates, Seal, Abandon,
                 Publish, AddLocation, GiveUp, ReportBad, ConfirmBuckets, SyncBucket, Delete, SetMeta, Rename, MakeDir,
                 RemoveDir, BeginUpload, CommitOrigin, ForgetTicket, GrantLease, RenewLease, ReleaseLease, PutPlan,
                 ExpireDue, OpenSession, CloseSession, RespSet, RespDelete>;

// --- an entry of the log

// A client's number for an entry: a repeat, by whatever leader, gets the first answer and changes nothing.
// SESSION_EXPIRED: the session is unknown, or ended; REQUEST_FORGOTTEN: below a low-water mark sent before;
// WINDOW_FULL: kRequestWindow or more above it. None of these was executed.
struct RequestId {
  ClientSession session;
  uint64_t sequence = 0;   // 1, 2, ...
  uint64_t low_water = 1;  // answers to all before it have arrived
  bool operator==(const RequestId&) const = default;
  static constexpr auto kFields = std::tuple(&RequestId::session, &RequestId::sequence, &RequestId::low_water);
};
inline constexpr uint64_t kRequestWindow = 1024;
inline constexpr uint64_t kMaxSessions = 10'000;
inline constexpr base::Duration kSessionIdle = std::chrono::hours(1);

// The entry is for the holder of a named lease alone. TOKEN_STALE.
struct Fence {
  std::string lease;
  LeaseToken token;
  bool operator==(const Fence&) const = default;
  static constexpr auto kFields = std::tuple(&Fence::lease, &Fence::token);
};

inline constexpr uint32_t kMaxBatch = 4096;

struct Entry {
  LogTime stamp;  // the leader's log time; one before an earlier entry's counts as that
  std::optional<RequestId> request;
  std::optional<Fence> fence;
  // At most kMaxBatch; each sees the ones before, and a refused one does not stop the rest.
  std::vector<Command> commands;
  bool operator==(const Entry&) const = default;
  static constexpr auto kFields = std::tuple(&Entry::stamp, &Entry::request, &Entry::fence);
};

// A u8 format version and a u8 kind (of the only command, or kBatchKind) lead.
inline constexpr uint8_t kEntryFormat = 1;
inline constexpr uint8_t kBatchKind = 255;
std::string EncodeEntry(const Entry& entry);
// Gives an encoded entry another stamp.
void StampEntry(std::string& entry, LogTime stamp);
// DATA_LOSS (BAD_ENTRY) for what EncodeEntry does not make.
absl::StatusOr<Entry> DecodeEntry(base::ByteSpan bytes);

}  // namespace larder::tracker
