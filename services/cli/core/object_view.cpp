#include "core/object_view.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/failure.h"
#include "larder/base/units.h"

namespace larder::cli {
namespace {

using nlohmann::ordered_json;

bool IsSealed(const object::ObjectInfo& info) { return info.state == object::ObjectState::kSealed; }

ordered_json TextOrNull(const std::string& text) { return text.empty() ? ordered_json() : ordered_json(text); }

double Seconds(base::Duration duration) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) / 1000;
}

// The fields that `stat`, `list` and `import` begin with. Size and digest of what is still being written are not known.
ordered_json FirstFields(const object::ObjectInfo& info) {
  ordered_json json;
  json["namespace"] = info.id.ns;
  json["key"] = info.id.key;
  json["state"] = object::StateName(info.state);
  json["size"] = IsSealed(info) ? ordered_json(info.size) : ordered_json();
  json["digest"] = TextOrNull(base::FormatDigest(info.digest));
  json["epoch"] = info.epoch.value;
  return json;
}

// What is known of its copies. An agent that was not told of a cluster knows its own.
std::optional<object::Placement> PlacementOf(const object::ObjectStat& stat, const std::string& node) {
  if (stat.placement || (IsSealed(stat.info) && stat.info.tier.empty())) return stat.placement;
  if (!IsSealed(stat.info)) return object::Placement();
  return object::Placement{.locations = {{.node = node, .kind = "replica", .live = true}}, .live_replicas = 1};
}

std::string LocationText(const object::Placement::Location& location, const std::string& node,
                         const std::string& tier) {
  std::string text = fmt::format("{} ({}", location.node, location.kind);
  if (location.node == node && !tier.empty()) text += ", " + tier;
  if (!location.live) text += fmt::format(", not seen for {}", ShortDuration(location.last_seen));
  return text + ")";
}

std::string TtlText(const object::ObjectInfo& info) { return info.ttl_left ? ShortDuration(*info.ttl_left) : "-"; }

}  // namespace

ordered_json ObjectJson(const object::ObjectStat& stat, const std::string& node) {
  const object::ObjectInfo& info = stat.info;
  const std::optional<object::Placement> placement = PlacementOf(stat, node);
  ordered_json json = FirstFields(info);
  json["piece_length"] = info.meta.piece_length == 0 ? ordered_json() : ordered_json(info.meta.piece_length);
  json["ttl_left_seconds"] = info.ttl_left ? ordered_json(Seconds(*info.ttl_left)) : ordered_json();
  json["wanted_replicas"] = info.meta.wanted_replicas;
  json["live_replicas"] = placement ? ordered_json(placement->live_replicas) : ordered_json();
  json["locations"] = placement ? ordered_json::array() : ordered_json();
  if (placement) {
    for (const object::Placement::Location& location : placement->locations) {
      json["locations"].push_back({{"node", location.node},
                                   {"kind", location.kind},
                                   {"tier", location.node == node ? TextOrNull(info.tier) : ordered_json()},
                                   {"last_seen_seconds", Seconds(location.last_seen)}});
    }
  }
  json["staged_age_seconds"] =
      placement && placement->staged_age ? ordered_json(Seconds(*placement->staged_age)) : ordered_json();
  json["pinned"] = info.pinned;
  json["tags"] = info.meta.tags;
  json["application"] = TextOrNull(info.meta.application);
  return json;
}

ordered_json ImportJson(const object::ObjectInfo& info, object::AckPolicy ack,
                        std::optional<object::Durability> durability) {
  ordered_json json = FirstFields(info);
  json["ack"] = object::AckName(ack);
  json["durability"] = durability ? ordered_json(object::DurabilityName(*durability)) : ordered_json();
  return json;
}

std::string JsonText(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::vector<Column> ListColumns(bool wide) {
  std::vector<Column> columns = {{"SIZE", 10, true}, {"TTL", 6, true}, {"PINNED", 6}};
  if (wide) columns.insert(columns.end(), {{"TIER", 4}, {"EPOCH", 16}, {"DIGEST", 15}});
  columns.push_back({"KEY", 0});
  return columns;
}

std::vector<std::string> ListCells(const object::ObjectInfo& info, bool wide) {
  std::vector<std::string> cells = {base::FormatBytes(info.size), TtlText(info), info.pinned ? "yes" : "-"};
  if (wide) cells.insert(cells.end(), {info.tier, fmt::to_string(info.epoch.value), base::FormatDigest(info.digest)});
  cells.push_back(Printable(info.id.key));
  return cells;
}

std::string Description(const object::ObjectStat& stat, const std::string& node, bool wide) {
  const object::ObjectInfo& info = stat.info;
  const std::optional<object::Placement> placement = PlacementOf(stat, node);
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:14}{}\n", name, value);
  };
  line("Key", Printable(info.id.key));
  line("Namespace", info.id.ns);
  line("State", std::string(object::StateName(info.state)));
  if (IsSealed(info)) line("Size", fmt::format("{} ({} bytes)", base::FormatBytes(info.size), info.size));
  if (IsSealed(info)) line("Digest", base::FormatDigest(info.digest));
  line("Epoch", fmt::to_string(info.epoch.value));
  line("TTL left", TtlText(info));
  line("Replicas", fmt::format("{} live, {} wanted", placement ? fmt::to_string(placement->live_replicas) : "?",
                               info.meta.wanted_replicas));
  if (placement) {
    for (const object::Placement::Location& location : placement->locations) {
      line("Location", LocationText(location, node, info.tier));
    }
    if (!placement->creator.empty()) line("Creator", placement->creator);
    if (placement->conflict) {
      line("Conflict", node +
                           " has another object of this name, which it could not publish (export it, or delete it "
                           "there)");
    }
  }
  line("Pinned", info.pinned ? "yes" : "no");
  if (!info.meta.tags.empty()) line("Tags", Printable(fmt::format("{}", fmt::join(info.meta.tags, ", "))));
  if (!info.meta.application.empty()) line("Application", Printable(info.meta.application));
  if (wide && info.meta.piece_length != 0) line("Piece length", base::FormatBytes(info.meta.piece_length));
  return text;
}

std::string ShortDuration(base::Duration duration) {
  const int64_t seconds = std::chrono::ceil<std::chrono::seconds>(duration).count();
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 2 * 3600) return fmt::format("{} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} d", seconds / 86400);
}

}  // namespace larder::cli
