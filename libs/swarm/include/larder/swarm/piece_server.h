#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>

#include "larder/base/clock.h"
#include "larder/swarm/metrics.h"
#include "larder/swarm/piece_source.h"
#include "larder/swarm/rate_limiter.h"
#include "larder/swarm/ticket.h"

namespace larder::swarm {

struct PieceServerOptions {
  std::string listen;  // HOST:PORT; port 0: any
  int threads = 2;
  size_t pending_limit = 256;      // connections that have not shown a ticket; more are closed at once
  size_t connection_limit = 4096;  // in all; more get RESOURCE_EXHAUSTED (TOO_MANY_CONNECTIONS)
  size_t requests_limit = 64;      // of one connection that wait; more end it: BAD_FRAME
  base::Duration hello_timeout = std::chrono::seconds(3);     // from accept to a whole HELLO
  base::Duration stalled_timeout = std::chrono::seconds(30);  // of a child that does not read what it asked for
  base::Duration idle_timeout = std::chrono::minutes(5);      // of a child that asks for nothing
  // Of a child that takes nothing of what a complete copy offers to it first: others are offered that, too.
  base::Duration seed_patience = std::chrono::milliseconds(500);
  // Why a connection was ended or refused, for log and counter; on an event thread. Reasons: those of ERROR
  // (docs/formats/pieces.md), NO_HELLO, STALLED, IDLE, TOO_MANY_PENDING. May be empty.
  std::function<void(const absl::Status&)> ended;
};

// The parent's side: gives an object's pieces to nodes with a ticket, over framed TCP. Whole pieces in turn on each
// connection, from memory without a copy of our own, from files by sendfile. Thread-safe.
class PieceServer {
 public:
  // What it works with; all must outlive it.
  struct Parts {
    PieceSource& source;
    const TicketSigner& tickets;
    RateLimiter& limiter;
    Metrics& metrics;
    const base::Clock& clock;
  };
  // Listens. UNAVAILABLE (CANNOT_LISTEN), INVALID_ARGUMENT (BAD_ADDRESS).
  static absl::StatusOr<std::unique_ptr<PieceServer>> Start(PieceServerOptions options, Parts parts);
  virtual ~PieceServer() = default;
  // Where it listens, HOST:PORT.
  virtual std::string address() const = 0;
  // This node's registration. Until it is set, and to who names another, requests get ABORTED (NODE_EPOCH_STALE).
  virtual void SetNodeEpoch(NodeEpoch epoch) = 0;
  struct Usage {
    size_t pending = 0;
    size_t connections = 0;    // pending ones too
    size_t waiting = 0;        // requests for pieces that are not sent yet, as of each connection's last turn
    uint64_t sent = 0;         // bytes of pieces, since the start
    uint64_t malformed = 0;    // frames, since the start
    uint64_t bad_tickets = 0;  // since the start
  };
  virtual Usage usage() const = 0;
  // Closes all connections; nothing is called back after it returns. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace larder::swarm
