#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/ids.h"
#include "larder/base/clock.h"

// Commands about nodes, named leases, time, sessions, and the data of the Redis protocol. See core/command.h.
namespace larder::tracker {

inline constexpr size_t kMaxNodeName = 253;  // a DNS name

// Who acts, as which registration. Refused: NODE_FENCED if it is not the node's current one, or was fenced.
struct NodeRef {
  std::string node;  // 1..253 bytes without NUL
  NodeEpoch epoch;
  bool operator==(const NodeRef&) const = default;
  static constexpr auto kFields = std::tuple(&NodeRef::node, &NodeRef::epoch);
};

// --- nodes

// -> NodeRegistered, or RegisteredWithKey. The node's creates end, its copies are unconfirmed until it tells of them
// again. Marks stay. INCARNATION_STALE: a later incarnation (a number that grows with each start of the agent)
// registered before.
struct RegisterNode {
  std::string node;
  uint64_t incarnation = 0;
  std::string address;  // HOST:PORT where others fetch pieces
  std::string zone;
  std::string rack;
  bool operator==(const RegisterNode&) const = default;
  static constexpr uint8_t kKind = 1;
  static constexpr auto kFields = std::tuple(&RegisterNode::node, &RegisterNode::incarnation, &RegisterNode::address,
                                             &RegisterNode::zone, &RegisterNode::rack);
};

// RegisterNode that offers a key for piece tickets. The first that any node offers is the cluster's for ever, and each
// node is told it. A secret: in no event, row that is listed, log or message. BAD_NODE for one of another length.
inline constexpr size_t kPieceKeyBytes = 32;
struct RegisterWithKey {
  RegisterNode node;
  std::string offered_piece_key;
  bool operator==(const RegisterWithKey&) const = default;
  static constexpr uint8_t kKind = 29;
  static constexpr auto kFields = std::tuple(&RegisterWithKey::node, &RegisterWithKey::offered_piece_key);
};

// Ends a node epoch and its creates. Repeatable. EPOCH_STALE: not the current one; NOT_FOUND. A leader proposes none of
// a node that counts on being alive (core/alive_nodes.h).
struct FenceNode {
  NodeRef node;
  bool operator==(const FenceNode&) const = default;
  static constexpr uint8_t kKind = 2;
  static constexpr auto kFields = std::tuple(&FenceNode::node);
};

// Copies on a marked node do not count as live. nullopt leaves a mark as it is. NOT_FOUND.
struct MarkNode {
  std::string node;
  std::optional<bool> draining;
  std::optional<bool> quarantined;
  bool operator==(const MarkNode&) const = default;
  static constexpr uint8_t kKind = 3;
  static constexpr auto kFields = std::tuple(&MarkNode::node, &MarkNode::draining, &MarkNode::quarantined);
};

// --- named leases: who leads. TOKEN_STALE: not the current token, or its time is over.

// -> LeaseGranted, with a token above all before; to the same holder anew. HELD by another (it is named).
struct GrantLease {
  std::string name;  // 1..255 bytes
  std::string holder;
  base::Duration ttl{};
  bool operator==(const GrantLease&) const = default;
  static constexpr uint8_t kKind = 20;
  static constexpr auto kFields = std::tuple(&GrantLease::name, &GrantLease::holder, &GrantLease::ttl);
};

// -> LeaseGranted with the same token.
struct RenewLease {
  std::string name;
  LeaseToken token;
  base::Duration ttl{};
  bool operator==(const RenewLease&) const = default;
  static constexpr uint8_t kKind = 21;
  static constexpr auto kFields = std::tuple(&RenewLease::name, &RenewLease::token, &RenewLease::ttl);
};

struct ReleaseLease {
  std::string name;
  LeaseToken token;
  bool operator==(const ReleaseLease&) const = default;
  static constexpr uint8_t kKind = 22;
  static constexpr auto kFields = std::tuple(&ReleaseLease::name, &ReleaseLease::token);
};

inline constexpr size_t kMaxPlanBytes = 64 * 1024;

// What the lease's next holder goes on with, in place of the plan before.
struct PutPlan {
  std::string name;
  LeaseToken token;
  std::string plan;  // at most kMaxPlanBytes
  bool operator==(const PutPlan&) const = default;
  static constexpr uint8_t kKind = 23;
  static constexpr auto kFields = std::tuple(&PutPlan::name, &PutPlan::token, &PutPlan::plan);
};

// --- time and sessions

// -> Expired. Ends what is due at the entry's log time, at most `limit` of it. Nothing waits for it to count as over.
struct ExpireDue {
  uint32_t limit = 1000;
  bool operator==(const ExpireDue&) const = default;
  static constexpr uint8_t kKind = 24;
  static constexpr auto kFields = std::tuple(&ExpireDue::limit);
};

// -> SessionOpened. Above kMaxSessions the one idle for longest ends.
struct OpenSession {
  bool operator==(const OpenSession&) const = default;
  static constexpr uint8_t kKind = 25;
  static constexpr auto kFields = std::tuple();
};

// Repeatable.
struct CloseSession {
  ClientSession session;
  bool operator==(const CloseSession&) const = default;
  static constexpr uint8_t kKind = 26;
  static constexpr auto kFields = std::tuple(&CloseSession::session);
};

// --- data of the Redis protocol

// A database of a namespace.
struct RespDatabase {
  std::string ns;
  uint8_t number = 0;  // 0..15
  bool operator==(const RespDatabase&) const = default;
  static constexpr auto kFields = std::tuple(&RespDatabase::ns, &RespDatabase::number);
};

enum class RespSetIf : uint8_t { kAlways = 0, kAbsent = 1 /* NX */, kPresent = 2 /* XX */, kLast = kPresent };

// Shorter than Redis can say: of what was over before it was set.
inline constexpr base::Duration kRespOver{1};

// -> RespSetDone.
struct RespSet {
  RespDatabase database;
  std::string key;
  std::string value;
  base::Duration ttl{};  // 0: none; kRespOver: the key ends
  bool keep_ttl = false;
  RespSetIf condition{};
  bool get = false;  // answer with the value before
  bool operator==(const RespSet&) const = default;
  static constexpr uint8_t kKind = 64;
  static constexpr auto kFields = std::tuple(&RespSet::database, &RespSet::key, &RespSet::value, &RespSet::ttl,
                                             &RespSet::keep_ttl, &RespSet::condition, &RespSet::get);
};

// -> Count: how many there were.
struct RespDelete {
  RespDatabase database;
  std::vector<std::string> keys;
  bool operator==(const RespDelete&) const = default;
  static constexpr uint8_t kKind = 65;
  static constexpr auto kFields = std::tuple(&RespDelete::database, &RespDelete::keys);
};

}  // namespace larder::tracker
