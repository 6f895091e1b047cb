#include "core/tracker_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::cli {

namespace pb = larder::tracker::v1;

namespace {

constexpr const char* kUnknown = "-";

// Of several that say that they lead, as one that was cut off may, the latest.
const pb::StatusResponse* FindLeader(std::span<const TrackerAnswer> answers) {
  const pb::StatusResponse* leader = nullptr;
  for (const TrackerAnswer& answer : answers) {
    if (!answer.status.ok() || answer.status->role() != pb::MEMBER_ROLE_LEADER) continue;
    if (leader == nullptr || answer.status->term() > leader->term()) leader = &*answer.status;
  }
  return leader;
}

std::string RoleText(const pb::StatusResponse& status) {
  switch (status.role()) {
    case pb::MEMBER_ROLE_FOLLOWER:
      return status.voter() ? "follower" : "learner";
    case pb::MEMBER_ROLE_CANDIDATE:
      return "candidate";
    case pb::MEMBER_ROLE_LEADER:
      return "leader";
    default:
      return "unknown";
  }
}

std::string Number(const std::optional<uint64_t>& number) { return number ? std::to_string(*number) : kUnknown; }

}  // namespace

std::vector<TrackerRow> TrackerRows(std::span<const TrackerAnswer> answers) {
  std::vector<TrackerRow> rows;
  for (const TrackerAnswer& answer : answers) {
    TrackerRow row{.address = answer.address};
    if (answer.status.ok()) {
      row.id = answer.status->member();
      row.status = *answer.status;
    } else {
      row.trouble = base::Message(answer.status.status());
    }
    rows.push_back(std::move(row));
  }
  const pb::StatusResponse* leader = FindLeader(answers);
  if (leader == nullptr) return rows;
  std::vector<uint64_t> unheard;
  for (const pb::Member& member : leader->members()) {
    if (std::ranges::none_of(rows, [&](const TrackerRow& row) { return row.id == member.id(); })) {
      unheard.push_back(member.id());
    }
  }
  const auto silent = [](const TrackerRow& row) { return !row.id.has_value(); };
  const auto silent_count = static_cast<size_t>(std::ranges::count_if(rows, silent));
  if (unheard.size() == 1 && silent_count == 1) {
    std::ranges::find_if(rows, silent)->id = unheard.front();
  } else if (unheard.size() > silent_count) {
    for (const uint64_t id : unheard) rows.push_back({.id = id, .trouble = "not asked, or among those without an ID"});
  }
  for (TrackerRow& row : rows) {
    const auto member = std::ranges::find_if(leader->members(), [&](const auto& one) { return row.id == one.id(); });
    if (member == leader->members().end()) continue;
    row.lag = leader->last_index() - std::min(leader->last_index(), member->matched_index());
  }
  return rows;
}

std::vector<Column> TrackerColumns(bool wide) {
  std::vector<Column> columns = {{"ID", 3, true},         {"ADDRESS", 20},       {"ROLE", 9},      {"TERM", 5, true},
                                 {"COMMITTED", 10, true}, {"APPLIED", 10, true}, {"LAG", 6, true}, {"LOG", 9, true}};
  if (wide) {
    columns.insert(columns.end(), {{"LAST", 10, true}, {"DURABLE", 10, true}, {"LEADER", 6, true}, {"VERSION", 8}});
  }
  columns.push_back({"REACHABLE", 9});
  return columns;
}

std::vector<std::string> TrackerCells(const TrackerRow& row, bool wide) {
  const auto said = [&row](auto number) { return row.status ? std::to_string(number(*row.status)) : kUnknown; };
  std::vector<std::string> cells = {Number(row.id),
                                    row.address.empty() ? kUnknown : row.address,
                                    row.status ? RoleText(*row.status) : kUnknown,
                                    said([](const auto& status) { return status.term(); }),
                                    said([](const auto& status) { return status.committed_index(); }),
                                    said([](const auto& status) { return status.applied_index(); }),
                                    Number(row.lag),
                                    row.status ? base::FormatBytes(row.status->log_bytes()) : kUnknown};
  if (wide) {
    cells.push_back(said([](const auto& status) { return status.last_index(); }));
    cells.push_back(said([](const auto& status) { return status.durable_index(); }));
    cells.push_back(row.status && row.status->leader() > 0 ? std::to_string(row.status->leader()) : kUnknown);
    cells.push_back(row.status ? row.status->version() : kUnknown);
  }
  cells.push_back(row.status ? "yes" : "no: " + row.trouble);
  return cells;
}

nlohmann::ordered_json TrackerJson(const TrackerRow& row) {
  nlohmann::ordered_json json;
  json["id"] = row.id ? nlohmann::ordered_json(*row.id) : nlohmann::ordered_json();
  json["address"] = row.address.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(row.address);
  json["reachable"] = row.status.has_value();
  const auto add = [&](const char* name, auto value) {
    json[name] = row.status ? nlohmann::ordered_json(value(*row.status)) : nlohmann::ordered_json();
  };
  add("role", RoleText);
  add("leader", [](const auto& status) {
    return status.leader() > 0 ? nlohmann::ordered_json(status.leader()) : nlohmann::ordered_json();
  });
  add("term", [](const auto& status) { return status.term(); });
  add("last_index", [](const auto& status) { return status.last_index(); });
  add("durable_index", [](const auto& status) { return status.durable_index(); });
  add("committed_index", [](const auto& status) { return status.committed_index(); });
  add("applied_index", [](const auto& status) { return status.applied_index(); });
  json["lag_entries"] = row.lag ? nlohmann::ordered_json(*row.lag) : nlohmann::ordered_json();
  add("log_bytes", [](const auto& status) { return status.log_bytes(); });
  add("voter", [](const auto& status) { return status.voter(); });
  add("joint", [](const auto& status) { return status.joint(); });
  add("version", [](const auto& status) { return status.version(); });
  json["error"] = row.status ? nlohmann::ordered_json() : nlohmann::ordered_json(row.trouble);
  return json;
}

}  // namespace larder::cli
