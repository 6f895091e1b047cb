#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "larder/base/clock.h"
#include "larder/base/digest.h"
#include "larder/object/ids.h"

namespace larder::object {

enum class ObjectState : uint8_t { kCreating = 1, kSealed = 2, kDeleted = 3 };
std::string_view StateName(ObjectState state);  // "CREATING", "SEALED", "DELETED"

// When a seal is acknowledged.
enum class AckPolicy : uint8_t { kDefault = 0, kLocal = 1, kTracked = 2, kReplicated = 3, kOrigin = 4 };
std::string_view AckName(AckPolicy ack);  // "local", "tracked", …
// What an acknowledged seal survives: kMemory nothing, kAsync a kill -9, kSync a power loss.
enum class Durability : uint8_t { kMemory = 1, kAsync = 2, kSync = 3 };
std::string_view DurabilityName(Durability durability);

// What a namespace has a quota of.
enum class Resource : uint8_t { kMemory = 1, kDisk = 2, kLeases = 3, kConnections = 4 };
std::string_view ResourceName(Resource resource);  // "memory", "disk", "leases", "connections"

// What a namespace may use at most, and what may become of its objects. 0: no limit of its own.
struct NamespaceRules {
  uint64_t memory = 0;  // bytes
  uint64_t disk = 0;    // bytes
  uint64_t leases = 0;
  uint64_t connections = 0;
  // Objects of which this node may hold the last copy are dropped, too, when room is short.
  bool evict_last = false;
  uint64_t LimitOf(Resource resource) const;
};

// What a creator says of an object; kept with it.
struct ObjectMeta {
  std::optional<base::Duration> ttl;  // object TTL, from the seal on; none: for ever
  std::vector<std::string> tags;
  std::string application;
  uint32_t wanted_replicas = 1;
  uint32_t piece_length = 0;  // bytes; 0: chosen by size at the seal
};

// The sealed bytes that a cluster's registry means: what a key names, and under which of the cluster's epochs.
struct TrackedAs {
  BlobId blob;
  Epoch epoch;
  auto operator<=>(const TrackedAs&) const = default;
};

// What everybody may know of an object. Sizes in bytes.
struct ObjectInfo {
  ObjectId id;
  ObjectState state = ObjectState::kCreating;
  Epoch epoch;
  uint64_t size = 0;
  base::Digest digest;
  ObjectMeta meta;
  std::optional<base::Duration> ttl_left;
  bool pinned = false;
  std::string tier;  // "hot" or "warm", where this node keeps it
  // What the cluster knows this node's bytes as; none: it was not told, or nobody remembers that it was.
  std::optional<TrackedAs> tracked;
  // Names its list of pieces (docs/formats/pieces.md), as the cluster knows it; none: nobody said.
  std::optional<base::Sha256Digest> manifest;
};

// Who has an object, as a cluster knows it.
struct Placement {
  struct Location {
    std::string node;
    std::string kind;   // "replica", "staged", "origin"
    bool live = false;  // counts as a copy; else it may be gone
    base::Duration last_seen{};
    bool operator==(const Location&) const = default;
  };
  std::vector<Location> locations;
  uint32_t live_replicas = 0;
  std::optional<base::Duration> staged_age;
  std::string creator;    // of what is being created: the node
  bool conflict = false;  // this node has another object of that name, which nobody else knows
};

struct ObjectStat {
  ObjectInfo info;
  std::optional<Placement> placement;  // none: only this node was asked
};

// The piece length for an object of `size` bytes: the largest power of two <= size/64, within 1..4 MiB.
uint32_t PieceLengthFor(uint64_t size);

}  // namespace larder::object
