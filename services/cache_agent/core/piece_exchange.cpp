#include "core/piece_exchange.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <utility>

#include "larder/base/status.h"
#include "larder/rpc/address.h"

namespace larder::cache_agent {
namespace {

constexpr int kFetchThreads = 2;

bool IsAny(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

// The address as text, if it is one that other nodes can use.
std::string Usable(const ifaddrs& interface, sa_family_t family) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (interface.ifa_addr == nullptr || interface.ifa_addr->sa_family != family) return "";
  if ((interface.ifa_flags & IFF_UP) == 0 || (interface.ifa_flags & IFF_LOOPBACK) != 0) return "";
  const void* address = nullptr;
  if (family == AF_INET) {
    address = &reinterpret_cast<const sockaddr_in*>(interface.ifa_addr)->sin_addr;
  } else {
    const in6_addr& found = reinterpret_cast<const sockaddr_in6*>(interface.ifa_addr)->sin6_addr;
    if (IN6_IS_ADDR_LINKLOCAL(&found)) return "";
    address = &found;
  }
  return ::inet_ntop(family, address, text.data(), text.size()) == nullptr ? "" : text.data();
}

}  // namespace

absl::StatusOr<std::string> AdvertisedAddress(const std::string& listening) {
  LARDER_ASSIGN_OR_RETURN(rpc::HostPort address, rpc::ParseHostPort(listening));
  if (!IsAny(address.host)) return listening;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return base::ErrnoError(errno, "list the node's addresses");
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(first, ::freeifaddrs);
  for (const sa_family_t family : {sa_family_t{AF_INET}, sa_family_t{AF_INET6}}) {
    if (family == AF_INET6 && address.host != "::") continue;  // "::" takes both kinds
    for (const ifaddrs* interface = first; interface != nullptr; interface = interface->ifa_next) {
      const std::string host = Usable(*interface, family);
      if (!host.empty()) return rpc::FormatHostPort({.host = host, .port = address.port});
    }
  }
  return base::Error(absl::StatusCode::kFailedPrecondition, "NO_ADDRESS",
                     "this node has no address but its loopback (set pieces.advertise to what others can dial)");
}

absl::StatusOr<std::unique_ptr<PieceExchange>> PieceExchange::Start(const Options& options, ServedPieces::Copies copies,
                                                                    observe::Registry& registry,
                                                                    const base::Clock& clock, observe::Logger& log) {
  std::unique_ptr<PieceExchange> exchange(new PieceExchange(std::move(copies), options.rate_out, registry, log));
  PieceExchange& parts = *exchange;
  LARDER_ASSIGN_OR_RETURN(
      parts.server_,
      swarm::PieceServer::Start(
          {.listen = options.listen,
           .ended =
               [&log](const absl::Status& why) {
                 log.Debug("piece connection ended", {{"reason", base::Reason(why)}, {"why", base::Message(why)}});
               }},
          {.source = parts.served_,
           .tickets = parts.tickets_,
           .limiter = parts.limiter_,
           .metrics = parts.metrics_,
           .clock = clock}));
  LARDER_RETURN_IF_ERROR(parts.Advertise(options.advertise));
  LARDER_ASSIGN_OR_RETURN(parts.fetcher_, swarm::Fetcher::Start({.threads = kFetchThreads, .rate = options.rate_in},
                                                                parts.metrics_, clock));
  return exchange;
}

absl::Status PieceExchange::Advertise(const std::string& wanted) {
  LARDER_ASSIGN_OR_RETURN(const rpc::HostPort listening, rpc::ParseHostPort(server_->address()));
  const absl::StatusOr<std::string> found = AdvertisedAddress(wanted.empty() ? server_->address() : wanted);
  if (!found.ok()) {
    // What the node has for its own pods does not depend on others.
    log_.Warning("others cannot fetch from this node", {{"why", base::Message(found.status())}});
    return absl::OkStatus();
  }
  LARDER_ASSIGN_OR_RETURN(rpc::HostPort address, rpc::ParseHostPort(*found));
  if (address.port == 0) address.port = listening.port;
  address_ = rpc::FormatHostPort(address);
  return absl::OkStatus();
}

PieceExchange::~PieceExchange() { Stop(); }

void PieceExchange::OnRegistered(const Registration& registration) {
  swarm::TicketKey key{.id = registration.piece_key_id};
  if (registration.piece_key.size() != key.secret.size()) {
    return log_.Warning("the tracker gave no key for pieces: nothing is fetched from other nodes, nor given to them");
  }
  std::ranges::transform(registration.piece_key, key.secret.begin(), [](char c) { return static_cast<uint8_t>(c); });
  if (const absl::Status set = tickets_.SetKeys({key}); !set.ok()) {
    return log_.Warning("the key for pieces is none", {{"reason", base::Reason(set)}});
  }
  server_->SetNodeEpoch({registration.node_epoch});
}

void PieceExchange::Stop() {
  if (server_ != nullptr) server_->Stop();
  if (fetcher_ != nullptr) fetcher_->Stop();
}

}  // namespace larder::cache_agent
