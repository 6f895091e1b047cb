#pragma once
#include <absl/status/statusor.h>

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/records.h"
#include "core/table.h"

// What may be asked of a snapshot of the registry's table. What exists is what does at the log time applied in it.
// Reads change nothing and may run on any thread, each with a snapshot of its own. An error is the table's (disk,
// damage), or INVALID_ARGUMENT for a name or page that is none.
namespace larder::tracker {

// A node that has a complete copy.
struct Copy {
  std::string node;
  std::string address;  // HOST:PORT
  CopyKind kind{};
  NodeEpoch node_epoch;  // in which it told of the copy for the last time, by name or by its inventory
  LocationVersion version;
  bool confirmed = false;  // since the node's last registration, and it is not fenced; else it may be gone
  bool live = false;       // counts as a copy: confirmed, and the node neither draining nor quarantined
  LogTime last_seen;       // the node
  bool operator==(const Copy&) const = default;
};

enum class ObjectState : uint8_t { kAbsent, kCreating, kSealed };

// An object as the registry has it. A sealed one that is being overwritten is kSealed.
struct ObjectStat {
  ObjectId id;
  ObjectState state = ObjectState::kAbsent;
  BlobId blob;
  std::optional<SealedVersion> sealed;
  std::optional<PendingCreate> pending;  // who creates it, or its next epoch
  std::vector<Copy> copies;              // of the sealed epoch, by node
  uint32_t live_replicas = 0;
  std::optional<Copy> creator;  // the pending create's node, as if it had a copy already
};

absl::StatusOr<ObjectStat> Stat(Reader& snapshot, const ObjectId& id);
// One each, in the order asked; absent ones are kAbsent.
absl::StatusOr<std::vector<ObjectStat>> Locate(Reader& snapshot, std::span<const ObjectId> ids);

inline constexpr uint32_t kMaxPage = 1000;
// INVALID_ARGUMENT (BAD_LIMIT) unless it is 1..kMaxPage.
absl::Status CheckPage(uint32_t limit);

struct ListRequest {
  std::string ns;
  std::string prefix;
  bool delimited = false;     // what lies behind the next '/' after the prefix is one entry, the directory
  uint32_t limit = kMaxPage;  // 1..kMaxPage entries
  std::string token;          // of the page before; empty: from the beginning
};
struct ListEntry {
  std::string key;                     // of a directory it ends with '/'
  std::optional<ObjectRecord> object;  // nullopt: a directory
};
struct ListPage {
  std::vector<ListEntry> entries;  // in the order of the keys' bytes
  std::string next;                // where the next one goes on; empty: there is no more
};
// A page looks at 10,000 rows at most: where most are over, it ends before it is full, maybe without an entry. Objects
// (sealed or being created) and, if delimited, directories. Over all pages, what exists throughout comes exactly once.
absl::StatusOr<ListPage> List(Reader& snapshot, const ListRequest& request);

struct StagedEntry {
  ObjectId id;
  BlobId blob;
  Epoch epoch;
  LogTime since;
};
struct StagedPage {
  std::vector<StagedEntry> entries;  // the oldest first
  std::string next;
};
// What has staged copies and no origin, of one namespace or (empty) of all.
absl::StatusOr<StagedPage> ListStaged(Reader& snapshot, const std::string& ns, uint32_t limit,
                                      const std::string& token);

struct NodeEntry {
  std::string name;
  NodeRecord record;
};
struct NodePage {
  std::vector<NodeEntry> entries;
  std::string next;
};
absl::StatusOr<NodePage> ListNodes(Reader& snapshot, uint32_t limit, const std::string& token);
// UNAVAILABLE (NODE_FENCED) unless it is the node's current registration, not fenced.
absl::Status CheckActive(Reader& snapshot, const NodeRef& node);

// What the registry believes a node has, as a sum for each bucket (core/inventory_commands.h).
struct Inventory {
  NodeEpoch node_epoch;  // the node's last registration; none: it never registered
  std::array<uint64_t, kBuckets> hashes{};
  std::bitset<kBuckets> confirmed;  // the whole bucket, in that registration
};
absl::StatusOr<Inventory> InventoryHashes(Reader& snapshot, std::string_view node);

struct LeaseEntry {
  std::string name;
  LeaseRecord record;
};
struct LeasePage {
  std::vector<LeaseEntry> entries;  // those in force
  std::string next;
};
absl::StatusOr<LeasePage> ListLeases(Reader& snapshot, uint32_t limit, const std::string& token);
// What the last PutPlan stored, whether or not its lease is in force.
absl::StatusOr<std::optional<PlanRecord>> FindPlan(Reader& snapshot, std::string_view lease);

struct TicketEntry {
  UploadTicket ticket;
  TicketRecord record;
};
struct TicketPage {
  std::vector<TicketEntry> entries;
  std::string next;
};
// Tickets that ended, whose uploads may have left something at the origin; till ForgetTicket.
absl::StatusOr<TicketPage> ListEndedTickets(Reader& snapshot, uint32_t limit, const std::string& token);

absl::StatusOr<std::optional<std::string>> RespGet(Reader& snapshot, const RespDatabase& database,
                                                   std::string_view key);

// The log time applied in it. A failed read is in its status().
LogTime AppliedTime(Reader& snapshot);

// When the next ExpireDue has something to do; kNever: nothing is due ever.
absl::StatusOr<LogTime> NextDue(Reader& snapshot);

}  // namespace larder::tracker
