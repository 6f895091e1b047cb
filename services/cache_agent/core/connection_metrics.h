#pragma once
#include <atomic>
#include <cstdint>
#include <string_view>

#include "larder/object/registries.h"
#include "larder/observe/registry.h"

namespace larder::cache_agent {

// Why a caller was refused or cut off.
enum class DenyReason : uint8_t {
  kHelloTimeout,  // no HELLO within a second
  kBadRecord,     // a malformed record
  kDenied,        // it is nobody, or not who may use the namespace; too many sessions
  kTooMany,       // too many connections before their HELLO
  kSlow,          // does not read what it asked for
  kRevoked,       // was asked for mappings back and did not give them
  kNoSession,     // a call with the token of no session that lives
  kOther,
};
std::string_view LabelText(DenyReason reason);

// Counts what a listener tells of its connections. Thread-safe.
class ConnectionMetrics final : public object::TransportObserver {
 public:
  explicit ConnectionMetrics(observe::Registry& registry);
  void ConnectionOpened() override;
  void ConnectionClosed() override;
  void Denied(std::string_view reason) override;

  uint64_t connections() const { return static_cast<uint64_t>(connections_.value()); }
  // Since the start, for whatever reason.
  uint64_t denied() const { return denied_total_.load(std::memory_order_relaxed); }

 private:
  observe::Gauge& connections_;
  observe::Counters<DenyReason> denied_;
  std::atomic<uint64_t> denied_total_ = 0;
};

}  // namespace larder::cache_agent
