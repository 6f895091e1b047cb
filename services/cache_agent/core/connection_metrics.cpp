#include "core/connection_metrics.h"

#include <array>

namespace larder::cache_agent {
namespace {

constexpr observe::GaugeDecl<> kConnections = {.name = "larder_agent_connections",
                                               .help = "Clients connected to the data socket."};
constexpr observe::CounterDecl<DenyReason> kDenied = {
    .name = "larder_agent_denied_total",
    .help = "Connections to the data socket refused or cut off, and calls on the control socket refused, by reason.",
    .labels = {"reason"}};

constexpr std::array kReasons = {DenyReason::kHelloTimeout, DenyReason::kBadRecord, DenyReason::kDenied,
                                 DenyReason::kTooMany,      DenyReason::kSlow,      DenyReason::kRevoked,
                                 DenyReason::kNoSession,    DenyReason::kOther};

}  // namespace

std::string_view LabelText(DenyReason reason) {
  switch (reason) {
    case DenyReason::kHelloTimeout:
      return "hello_timeout";
    case DenyReason::kBadRecord:
      return "bad_record";
    case DenyReason::kDenied:
      return "denied";
    case DenyReason::kTooMany:
      return "too_many";
    case DenyReason::kSlow:
      return "slow";
    case DenyReason::kRevoked:
      return "revoked";
    case DenyReason::kNoSession:
      return "no_session";
    case DenyReason::kOther:
      break;
  }
  return "other";
}

ConnectionMetrics::ConnectionMetrics(observe::Registry& registry)
    : connections_(registry.Add(kConnections)), denied_(registry.Add(kDenied)) {}

void ConnectionMetrics::ConnectionOpened() { connections_.Add(1); }
void ConnectionMetrics::ConnectionClosed() { connections_.Add(-1); }

void ConnectionMetrics::Denied(std::string_view reason) {
  denied_total_.fetch_add(1, std::memory_order_relaxed);
  for (const DenyReason known : kReasons) {
    if (LabelText(known) == reason) return denied_.With(known).Increment();
  }
  denied_.With(DenyReason::kOther).Increment();  // a transport's own word: labels stay bounded
}

}  // namespace larder::cache_agent
