#include "core/top_json.h"

#include <nlohmann/json.hpp>

#include "larder/base/error_table.h"
#include "larder/base/status.h"

namespace larder::cli {
namespace {

namespace pb = larder::agent::v1;
using nlohmann::ordered_json;

double Seconds(uint64_t milliseconds) { return static_cast<double>(milliseconds) / 1000; }

ordered_json OrNull(bool there, uint64_t value) { return there ? ordered_json(value) : ordered_json(); }

ordered_json RatesJson(const Rates& rates) {
  return {{"seconds", rates.seconds},
          {"gets", rates.gets},
          {"hit_ratio", rates.hit_ratio ? ordered_json(*rates.hit_ratio) : ordered_json()},
          {"puts", rates.puts},
          {"deletes", rates.deletes},
          {"bytes_in", rates.bytes_in},
          {"bytes_out", rates.bytes_out},
          {"evicted", rates.evicted},
          {"reclaimed", rates.reclaimed},
          {"denied", rates.denied},
          {"failed", rates.failed}};
}

ordered_json TotalsJson(const pb::StatusCounters& counters) {
  ordered_json requests = ordered_json::object();
  for (const pb::RequestCount& count : counters.requests()) {
    requests[count.op()] = {{"ok", count.ok()}, {"failed", count.failed()}};
  }
  return {{"requests", requests},
          {"hits", counters.hits()},
          {"misses", counters.misses()},
          {"bytes_in", counters.bytes_in()},
          {"bytes_out", counters.bytes_out()},
          {"evicted_room", counters.evicted_room()},
          {"evicted_quota", counters.evicted_quota()},
          {"damaged", counters.damaged()},
          {"leases_closed", counters.leases_closed()},
          {"leases_lapsed", counters.leases_lapsed()},
          {"connections_denied", counters.connections_denied()}};
}

ordered_json ArenaJson(const pb::ArenaUse& arena) {
  return {{"limit", arena.limit_bytes()},         {"free", arena.free_bytes()},
          {"live", arena.live_bytes()},           {"quarantined", arena.quarantined_bytes()},
          {"allocated", arena.allocated_bytes()}, {"windows", arena.window_bytes()},
          {"wasted", arena.wasted_bytes()},       {"reserved", arena.reserved_bytes()},
          {"recycles", arena.recycles()}};
}

ordered_json DiskJson(const pb::DiskUse& disk) {
  return {{"data_dir", disk.data_dir()},
          {"total", disk.total_bytes()},
          {"free", disk.free_bytes()},
          {"used", disk.used_bytes()},
          {"limit", OrNull(disk.limit_bytes() != 0, disk.limit_bytes())}};
}

}  // namespace

ordered_json TopJson(const pb::StatusResponse& status, const std::optional<Rates>& rates) {
  ordered_json json;
  json["time_seconds"] = static_cast<double>(status.wall_time_ms()) / 1000;
  json["node"] = status.node();
  json["version"] = status.version();
  json["namespace"] = status.namespace_();
  json["identity"] = status.identity();
  json["store"] = status.store();
  json["uptime_seconds"] = Seconds(status.uptime_ms());
  json["arena"] = ArenaJson(status.arena());
  json["disk"] = status.has_disk() ? DiskJson(status.disk()) : ordered_json();
  json["objects"] = status.objects();
  json["object_bytes"] = status.object_bytes();
  json["leases"] = {{"create", status.create_leases()}, {"read", status.read_leases()}};
  json["sessions"] = status.sessions();
  json["connections"] = status.connections();
  json["open_files"] = {{"used", status.open_files().used()},
                        {"limit", OrNull(status.open_files().limit() != UINT64_MAX, status.open_files().limit())}};
  json["per_second"] = rates ? RatesJson(*rates) : ordered_json();
  json["totals"] = TotalsJson(status.counters());
  json["namespaces"] = ordered_json::array();
  for (const pb::NamespaceUse& use : status.namespaces()) {
    json["namespaces"].push_back({{"namespace", use.namespace_()},
                                  {"objects", use.objects()},
                                  {"bytes", use.bytes()},
                                  {"limit", OrNull(use.limit_bytes() != 0, use.limit_bytes())},
                                  {"evict_last", use.evict_last()}});
  }
  return json;
}

ordered_json ErrorJson(const absl::Status& status) {
  const base::ErrorRow& row = base::ErrorRowOf(status.code());
  return {{"error",
           {{"code", row.name},
            {"reason", base::Reason(status)},
            {"message", base::Message(status)},
            {"retryable", row.retryable}}}};
}

}  // namespace larder::cli
