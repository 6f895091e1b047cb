#include "core/rates.h"

#include <string_view>

namespace larder::cli {
namespace {

namespace pb = larder::agent::v1;

uint64_t Succeeded(const pb::StatusCounters& counters, std::string_view op) {
  for (const pb::RequestCount& count : counters.requests()) {
    if (count.op() == op) return count.ok();
  }
  return 0;
}

uint64_t Failed(const pb::StatusCounters& counters) {
  uint64_t failed = 0;
  for (const pb::RequestCount& count : counters.requests()) failed += count.failed();
  return failed;
}

}  // namespace

std::optional<Rates> RatesBetween(const pb::StatusResponse& before, const pb::StatusResponse& after) {
  if (after.uptime_ms() <= before.uptime_ms()) return std::nullopt;
  const pb::StatusCounters& from = before.counters();
  const pb::StatusCounters& to = after.counters();
  const double seconds = static_cast<double>(after.uptime_ms() - before.uptime_ms()) / 1000;
  // Counters are read one by one: one that seems to fall has merely stood still.
  const auto grown = [](uint64_t a, uint64_t b) { return b > a ? static_cast<double>(b - a) : 0.0; };
  const auto rate = [&](uint64_t a, uint64_t b) { return grown(a, b) / seconds; };
  const double hits = grown(from.hits(), to.hits());
  const double gets = hits + grown(from.misses(), to.misses());
  Rates rates{.seconds = seconds,
              .gets = gets / seconds,
              .puts = rate(Succeeded(from, "seal"), Succeeded(to, "seal")),
              .deletes = rate(Succeeded(from, "delete"), Succeeded(to, "delete")),
              .bytes_in = rate(from.bytes_in(), to.bytes_in()),
              .bytes_out = rate(from.bytes_out(), to.bytes_out()),
              .evicted = rate(from.evicted_room() + from.evicted_quota(), to.evicted_room() + to.evicted_quota()),
              .reclaimed = rate(from.leases_closed() + from.leases_lapsed(), to.leases_closed() + to.leases_lapsed()),
              .denied = rate(from.connections_denied(), to.connections_denied()),
              .failed = rate(Failed(from), Failed(to))};
  if (gets > 0) rates.hit_ratio = hits / gets;
  return rates;
}

}  // namespace larder::cli
