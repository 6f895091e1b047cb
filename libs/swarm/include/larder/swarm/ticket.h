#pragma once
#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/object/ids.h"

namespace larder::swarm {

// One registration of a node at the tracker; 0 is none.
using NodeEpoch = object::StrongId<struct NodeEpochTag>;

// Signed leave for one node to fetch one object's pieces from another, given out by the control channel. Whoever has it
// can use it until it expires: it travels on connections that the installation trusts, or that TLS protects.
struct PieceTicket {
  object::ObjectId id;
  object::Epoch epoch;
  std::string child;      // the node that may fetch; 1..253 bytes
  NodeEpoch parent;       // from the node with this registration
  base::WallTime expiry;  // whole milliseconds
  bool operator==(const PieceTicket&) const = default;
};

inline constexpr size_t kMaxTicketBytes = 2048;

// HMAC-SHA256 keys, known to all nodes of an installation. The first signs, all verify, so that keys change in two
// steps: append the new one everywhere, then put it first.
struct TicketKey {
  uint32_t id = 0;
  std::array<uint8_t, 32> secret{};
};

// Signs and verifies. Thread-safe.
class TicketSigner {
 public:
  // At least one key, ids all different; INVALID_ARGUMENT (BAD_TICKET_KEYS), which keeps the ones before.
  absl::Status SetKeys(std::vector<TicketKey> keys) LARDER_EXCLUDES(mutex_);
  // docs/formats/pieces.md. FAILED_PRECONDITION (NO_TICKET_KEYS); INVALID_ARGUMENT (BAD_TICKET) for names that cannot
  // be.
  absl::StatusOr<std::string> Sign(const PieceTicket& ticket) const LARDER_EXCLUDES(mutex_);
  // The ticket, if one of the keys signed it and `now` is before its expiry. Nothing of it is looked at, and nothing is
  // allocated for it, before its MAC was compared (in constant time). UNAUTHENTICATED (BAD_TICKET, TICKET_EXPIRED).
  absl::StatusOr<PieceTicket> Verify(base::ByteSpan bytes, base::WallTime now) const LARDER_EXCLUDES(mutex_);

 private:
  mutable base::Mutex mutex_;
  std::vector<TicketKey> keys_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::swarm
