#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "larder/base/clock.h"
#include "larder/object/ids.h"

// What is known of nodes. Plain values.
namespace larder::peer_manager {

using NodeEpoch = object::StrongId<struct NodeEpochTag>;     // one registration in the tracker; grows. 0: none
using Term = object::StrongId<struct TermTag>;               // the token of the leader's lease; grows. 0: none
using SessionId = object::StrongId<struct AgentSessionTag>;  // one stream of an agent, unique in this manager's life

// One registration of a node.
struct NodeRef {
  std::string node;
  NodeEpoch epoch;
  auto operator<=>(const NodeRef&) const = default;
};

// What a node's tiers could hold, in bytes.
struct Capacity {
  uint64_t memory = 0;
  uint64_t disk = 0;
  bool operator==(const Capacity&) const = default;
};

// Bytes, but for the queue, which counts requests for pieces that wait.
struct Load {
  uint64_t uplink_per_second = 0;
  uint32_t upload_queue = 0;
  uint64_t memory_used = 0;
  uint64_t memory_free = 0;
  uint64_t disk_used = 0;
  uint64_t disk_free = 0;
  bool operator==(const Load&) const = default;
};

// Where a node is in its cluster.
struct Place {
  std::string address;  // HOST:PORT where others fetch pieces; empty: nowhere
  std::string zone;     // empty: unknown
  std::string rack;     // empty: unknown
  bool operator==(const Place&) const = default;
};

// How an agent introduces itself in a session.
struct Introduction {
  std::string node;
  uint64_t incarnation = 0;  // grows with each start of the agent
  Place place;
  Capacity capacity;
};

// What it says then and again.
struct Beat {
  NodeEpoch epoch;  // 0: it is not registered
  Load load;
};

// A node as the tracker's registry has it.
struct TrackedNode {
  std::string name;
  NodeEpoch epoch;  // of its last registration
  uint64_t incarnation = 0;
  bool fenced = false;  // that registration is over
  bool draining = false;
  bool quarantined = false;
  Place place;
  base::Duration since_seen{};
};

enum class NodeState : uint8_t { kLive, kSuspect, kLost, kDraining };
inline constexpr std::array kNodeStates = {NodeState::kLive, NodeState::kSuspect, NodeState::kLost,
                                           NodeState::kDraining};
std::string_view LabelText(NodeState state);

// A node as it is shown.
struct NodeView {
  std::string name;
  NodeEpoch epoch;
  uint64_t incarnation = 0;
  NodeState state = NodeState::kSuspect;
  base::Duration in_state{};
  bool connected = false;
  bool draining = false;
  bool quarantined = false;
  Place place;
  std::optional<Capacity> capacity;  // as of its last session here
  std::optional<Load> load;          // likewise
  std::optional<base::Duration> since_seen;
};

}  // namespace larder::peer_manager
