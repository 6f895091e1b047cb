#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "core/cluster_commands.h"
#include "core/ids.h"

// What a watcher of the registry is told (core/watch.h). The data of the Redis protocol makes no events.
namespace larder::tracker {

// The numbers are for ever: rows and other programs have them.
enum class EventKind : uint8_t {
  // Of an object. `node` is who did it, if a node did.
  kCreateGranted = 0,
  kCreateEnded = 1,  // and not by its seal
  kSealed = 2,       // the epoch before, if there was one, was superseded
  kSuperseded = 3,   // its copies go, too; so with the next two
  kDeleted = 4,
  kExpired = 5,
  kRenamed = 6,  // `to` is its key now
  kMetaChanged = 7,
  kOriginCommitted = 8,  // staged copies are replicas from now on
  kLocationAdded = 9,    // or told of anew, or its kind changed; `node` has it
  kLocationGone = 10,    // `node` had it
  kDirectoryMade = 11,   // no blob, no epoch; so with the next
  kDirectoryRemoved = 12,
  // Of a node.
  kNodeRegistered = 13,  // its copies are unconfirmed from now on
  kNodeFenced = 14,
  kNodeMarked = 15,
  kCopiesConfirmed = 16,  // some or all that it told of before it registered
  // Of a named lease.
  kLeaseGranted = 17,  // a lease of another that was over has ended, too
  kLeaseEnded = 18,
  kLast = kLeaseEnded
};

struct EventObject {
  ObjectId id;
  BlobId blob;
  Epoch epoch;
  std::string to;  // kRenamed: a key in the same namespace
  bool operator==(const EventObject&) const = default;
  static constexpr auto kFields =
      std::tuple(&EventObject::id, &EventObject::blob, &EventObject::epoch, &EventObject::to);
};

struct EventLease {
  std::string name;
  std::string holder;
  LeaseToken token;
  bool operator==(const EventLease&) const = default;
  static constexpr auto kFields = std::tuple(&EventLease::name, &EventLease::holder, &EventLease::token);
};

struct Event {
  EventKind kind{};
  std::optional<EventObject> object;
  std::optional<NodeRef> node;
  std::optional<EventLease> lease;
  bool operator==(const Event&) const = default;
  static constexpr auto kFields = std::tuple(&Event::kind, &Event::object, &Event::node, &Event::lease);
};

}  // namespace larder::tracker
