#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/cluster_registry.h"
#include "core/served_pieces.h"
#include "larder/base/clock.h"
#include "larder/observe/logger.h"
#include "larder/observe/registry.h"
#include "larder/swarm/fetch.h"
#include "larder/swarm/metrics.h"
#include "larder/swarm/piece_server.h"
#include "larder/swarm/rate_limiter.h"
#include "larder/swarm/ticket.h"

namespace larder::cache_agent {

// A node's two sides of the piece protocol: what it gives to others, and what it fetches from them. Thread-safe.
class PieceExchange {
 public:
  struct Options {
    std::string listen;     // HOST:PORT
    std::string advertise;  // HOST:PORT that others dial, port 0: the one it listens on; empty: AdvertisedAddress
    uint64_t rate_in = 0;   // bytes per second; 0: no limit
    uint64_t rate_out = 0;
  };
  // Listens. Nothing is given to others, nor can be fetched, before OnRegistered. Borrows all. UNAVAILABLE
  // (CANNOT_LISTEN), INVALID_ARGUMENT (BAD_ADDRESS).
  static absl::StatusOr<std::unique_ptr<PieceExchange>> Start(const Options& options, ServedPieces::Copies copies,
                                                              observe::Registry& registry, const base::Clock& clock,
                                                              observe::Logger& log);
  ~PieceExchange();  // stops

  // Where others dial: HOST:PORT; empty if this node has no address for them, which is logged.
  const std::string& address() const { return address_; }
  void OnRegistered(const Registration& registration);
  swarm::Fetcher& fetcher() { return *fetcher_; }
  // To other nodes, since the start and now.
  swarm::PieceServer::Usage given() const { return server_->usage(); }
  const swarm::TicketSigner& tickets() const { return tickets_; }
  ArrivingCopies& arriving() { return arriving_; }
  // Ends all transfers; nothing is called back afterwards. Idempotent.
  void Stop();

 private:
  PieceExchange(ServedPieces::Copies copies, uint64_t rate_out, observe::Registry& registry, observe::Logger& log)
      : log_(log), metrics_(registry), limiter_(rate_out), arriving_(registry), served_(std::move(copies), arriving_) {}

  absl::Status Advertise(const std::string& wanted);

  observe::Logger& log_;
  swarm::Metrics metrics_;
  swarm::TicketSigner tickets_;
  swarm::RateLimiter limiter_;
  ArrivingCopies arriving_;
  ServedPieces served_;
  std::string address_;
  std::unique_ptr<swarm::PieceServer> server_;
  std::unique_ptr<swarm::Fetcher> fetcher_;
};

// What others dial where somebody listens at `listening`: that, or, where it stands for all of the node's addresses,
// the first of them that is not its own loopback. FAILED_PRECONDITION (NO_ADDRESS) if there is none.
absl::StatusOr<std::string> AdvertisedAddress(const std::string& listening);

}  // namespace larder::cache_agent
