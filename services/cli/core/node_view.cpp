#include "core/node_view.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "core/failure.h"
#include "core/object_view.h"
#include "larder/base/units.h"

namespace larder::cli {

namespace pb = larder::agent::v1;

namespace {

using nlohmann::ordered_json;

constexpr const char* kUnknown = "-";

std::string StateText(pb::NodeState state) {
  switch (state) {
    case pb::NODE_STATE_LIVE:
      return "live";
    case pb::NODE_STATE_SUSPECT:
      return "suspect";
    case pb::NODE_STATE_LOST:
      return "lost";
    case pb::NODE_STATE_DRAINING:
      return "draining";
    default:
      return "unknown";
  }
}

std::string SourceText(pb::NodeSource source) {
  switch (source) {
    case pb::NODE_SOURCE_PEER_MANAGER:
      return "peer_manager";
    case pb::NODE_SOURCE_TRACKER:
      return "tracker";
    default:
      return "unknown";
  }
}

std::string OrUnknown(const std::string& text) { return text.empty() ? kUnknown : Printable(text); }

std::string Ago(bool known, int64_t ms) {
  return known ? ShortDuration(std::chrono::milliseconds(ms)) : std::string(kUnknown);
}

std::string UseText(bool known, const pb::TierUse& use) {
  if (!known) return kUnknown;
  return fmt::format("{} of {}", base::FormatBytes(use.used_bytes()), base::FormatBytes(use.total_bytes()));
}

std::string MarksText(const pb::Node& node) {
  std::string text = node.draining() ? "draining" : "";
  if (node.quarantined()) text += text.empty() ? "quarantined" : ",quarantined";
  return OrUnknown(text);
}

ordered_json SecondsOrNull(bool known, int64_t ms) {
  return known ? ordered_json(static_cast<double>(ms) / 1000) : ordered_json();
}
ordered_json TextOrNull(const std::string& text) { return text.empty() ? ordered_json() : ordered_json(text); }

void AddUse(ordered_json& json, const std::string& tier, bool known, const pb::TierUse& use) {
  json[tier + "_used_bytes"] = known ? ordered_json(use.used_bytes()) : ordered_json();
  json[tier + "_total_bytes"] = known ? ordered_json(use.total_bytes()) : ordered_json();
}

}  // namespace

std::vector<Column> NodeColumns(bool wide) {
  std::vector<Column> columns = {{"NAME", 16}, {"STATE", 8}, {"SEEN", 6, true}, {"ZONE", 10}, {"RACK", 8}};
  if (wide) columns.insert(columns.end(), {{"EPOCH", 8, true}, {"SINCE", 6, true}, {"MARKS", 11}, {"SOURCE", 12}});
  columns.insert(columns.end(), {{"MEMORY", 24}, {"DISK", 24}});
  if (wide) columns.insert(columns.end(), {{"SENDS", 14, true}, {"QUEUE", 5, true}});
  columns.push_back({"ADDRESS", 0});
  return columns;
}

std::vector<std::string> NodeCells(const pb::Node& node, pb::NodeSource source, bool wide) {
  std::vector<std::string> cells = {Printable(node.name()), StateText(node.state()),
                                    Ago(node.has_last_seen_ms(), node.last_seen_ms()), OrUnknown(node.zone()),
                                    OrUnknown(node.rack())};
  if (wide) {
    cells.insert(cells.end(), {node.node_epoch() == 0 ? std::string(kUnknown) : fmt::to_string(node.node_epoch()),
                               Ago(node.has_state_ms(), node.state_ms()), MarksText(node), SourceText(source)});
  }
  cells.insert(cells.end(), {UseText(node.has_memory(), node.memory()), UseText(node.has_disk(), node.disk())});
  if (wide) {
    cells.push_back(node.has_uplink_bytes_per_second() ? base::FormatBytes(node.uplink_bytes_per_second()) + "/s"
                                                       : kUnknown);
    cells.push_back(node.has_upload_queue() ? fmt::to_string(node.upload_queue()) : kUnknown);
  }
  cells.push_back(OrUnknown(node.address()));
  return cells;
}

ordered_json NodeJson(const pb::Node& node, pb::NodeSource source) {
  ordered_json json;
  json["name"] = node.name();
  json["state"] = StateText(node.state());
  json["state_seconds"] = SecondsOrNull(node.has_state_ms(), node.state_ms());
  json["draining"] = node.draining();
  json["quarantined"] = node.quarantined();
  json["address"] = TextOrNull(node.address());
  json["zone"] = TextOrNull(node.zone());
  json["rack"] = TextOrNull(node.rack());
  json["node_epoch"] = node.node_epoch() == 0 ? ordered_json() : ordered_json(node.node_epoch());
  json["last_seen_seconds"] = SecondsOrNull(node.has_last_seen_ms(), node.last_seen_ms());
  AddUse(json, "memory", node.has_memory(), node.memory());
  AddUse(json, "disk", node.has_disk(), node.disk());
  json["uplink_bytes_per_second"] =
      node.has_uplink_bytes_per_second() ? ordered_json(node.uplink_bytes_per_second()) : ordered_json();
  json["upload_queue"] = node.has_upload_queue() ? ordered_json(node.upload_queue()) : ordered_json();
  json["source"] = SourceText(source);
  return json;
}

}  // namespace larder::cli
