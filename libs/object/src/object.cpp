#include "larder/object/object.h"

#include <algorithm>
#include <bit>

#include "larder/base/units.h"

namespace larder::object {

std::string_view StateName(ObjectState state) {
  switch (state) {
    case ObjectState::kCreating:
      return "CREATING";
    case ObjectState::kSealed:
      return "SEALED";
    case ObjectState::kDeleted:
      return "DELETED";
  }
  return "UNKNOWN";
}

std::string_view AckName(AckPolicy ack) {
  switch (ack) {
    case AckPolicy::kDefault:
      return "default";
    case AckPolicy::kLocal:
      return "local";
    case AckPolicy::kTracked:
      return "tracked";
    case AckPolicy::kReplicated:
      return "replicated";
    case AckPolicy::kOrigin:
      return "origin";
  }
  return "unknown";
}

std::string_view DurabilityName(Durability durability) {
  switch (durability) {
    case Durability::kMemory:
      return "memory";
    case Durability::kAsync:
      return "async";
    case Durability::kSync:
      return "sync";
  }
  return "unknown";
}

std::string_view ResourceName(Resource resource) {
  switch (resource) {
    case Resource::kMemory:
      return "memory";
    case Resource::kDisk:
      return "disk";
    case Resource::kLeases:
      return "leases";
    case Resource::kConnections:
      return "connections";
  }
  return "unknown";
}

uint64_t NamespaceRules::LimitOf(Resource resource) const {
  switch (resource) {
    case Resource::kMemory:
      return memory;
    case Resource::kDisk:
      return disk;
    case Resource::kLeases:
      return leases;
    case Resource::kConnections:
      return connections;
  }
  return 0;
}

uint32_t PieceLengthFor(uint64_t size) {
  const uint64_t wanted = std::clamp<uint64_t>(size / 64, base::kMiB, 4 * base::kMiB);
  return static_cast<uint32_t>(std::bit_floor(wanted));
}

}  // namespace larder::object
