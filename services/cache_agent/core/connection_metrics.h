#pragma once
#include <string_view>

#include "larder/object/registries.h"
#include "larder/observe/registry.h"

namespace larder::cache_agent {

// Why a listener refused a caller or cut it off.
enum class DenyReason : uint8_t { kHelloTimeout, kBadRecord, kDenied, kTooMany, kSlow, kRevoked, kOther };
std::string_view LabelText(DenyReason reason);

// Counts what a listener tells of its connections. Thread-safe.
class ConnectionMetrics final : public object::TransportObserver {
 public:
  explicit ConnectionMetrics(observe::Registry& registry);
  void ConnectionOpened() override;
  void ConnectionClosed() override;
  void Denied(std::string_view reason) override;

 private:
  observe::Gauge& connections_;
  observe::Counters<DenyReason> denied_;
};

}  // namespace larder::cache_agent
