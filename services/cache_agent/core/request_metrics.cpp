#include "core/request_metrics.h"

#include <algorithm>
#include <chrono>

namespace larder::cache_agent {
namespace {

constexpr observe::CounterDecl<Op, absl::StatusCode> kRequests = {
    .name = "larder_agent_requests_total", .help = "Requests of clients by outcome.", .labels = {"op", "code"}};
constexpr observe::HistogramDecl<Op, Tier> kSeconds = {
    .name = "larder_agent_request_duration_seconds",
    .help = "Time to answer, waits for other clients included; tier \"none\" where no store took part.",
    .labels = {"op", "tier"}};
constexpr observe::CounterDecl<Tier> kHits = {
    .name = "larder_agent_hits_total", .help = "Gets answered, by where the object lay.", .labels = {"tier"}};
constexpr observe::CounterDecl<> kMisses = {.name = "larder_agent_misses_total",
                                            .help = "Gets of objects that this node does not have."};
constexpr observe::CounterDecl<observe::Word> kBytes = {
    .name = "larder_agent_client_bytes_total",
    .help = "Bytes of objects that clients sealed (in) and were given to read (out); a mapped object counts whole.",
    .labels = {"direction"}};

template <typename Metric, typename Find>
Metric& FindOnce(std::atomic<Metric*>& known, Find find) {
  Metric* metric = known.load(std::memory_order_acquire);
  if (metric == nullptr) known.store(metric = &find(), std::memory_order_release);
  return *metric;
}

// A series that has never been counted does not exist.
uint64_t ValueOf(const std::atomic<observe::Counter*>& known) {
  const observe::Counter* counter = known.load(std::memory_order_acquire);
  return counter == nullptr ? 0 : counter->value();
}

}  // namespace

std::string_view LabelText(Op op) {
  constexpr std::array<std::string_view, kOps> kNames = {"open",    "create", "append", "seal", "discard", "get",
                                                         "release", "renew",  "stat",   "list", "delete",  "pin"};
  return kNames.at(static_cast<size_t>(op));
}

std::string_view LabelText(Tier tier) {
  constexpr std::array<std::string_view, kTiers> kNames = {"none", "hot", "warm", "cold"};
  return kNames.at(static_cast<size_t>(tier));
}

Tier TierOf(std::string_view name) {
  for (const Tier tier : {Tier::kHot, Tier::kWarm, Tier::kCold}) {
    if (LabelText(tier) == name) return tier;
  }
  return Tier::kNone;
}

RequestMetrics::RequestMetrics(observe::Registry& registry)
    : requests_(registry.Add(kRequests)),
      seconds_(registry.Add(kSeconds)),
      hits_(registry.Add(kHits)),
      misses_(registry.Add(kMisses)),
      bytes_in_(registry.Add(kBytes).With("in")),
      bytes_out_(registry.Add(kBytes).With("out")) {}

void RequestMetrics::Done(Op op, Tier tier, absl::StatusCode code, base::Duration took) {
  const auto o = static_cast<size_t>(op);
  const size_t c = std::min(static_cast<size_t>(code), kCodes - 1);
  FindOnce(known_requests_[o][c], [&]() -> auto& { return requests_.With(op, code); }).Increment();
  FindOnce(known_seconds_[o][static_cast<size_t>(tier)], [&]() -> auto& {
    return seconds_.With(op, tier);
  }).Observe(std::chrono::duration<double>(took).count());
}

void RequestMetrics::Hit(Tier tier, uint64_t bytes) {
  FindOnce(known_hits_[static_cast<size_t>(tier)], [&]() -> auto& { return hits_.With(tier); }).Increment();
  bytes_out_.Increment(bytes);
}

RequestTotals RequestMetrics::Totals() const {
  RequestTotals totals{.misses = misses_.value(), .bytes_in = bytes_in_.value(), .bytes_out = bytes_out_.value()};
  for (size_t op = 0; op < kOps; ++op) {
    for (size_t code = 0; code < kCodes; ++code) {
      uint64_t& count = code == 0 ? totals.requests[op].ok : totals.requests[op].failed;
      count += ValueOf(known_requests_[op][code]);
    }
  }
  for (const auto& known : known_hits_) totals.hits += ValueOf(known);
  return totals;
}

}  // namespace larder::cache_agent
