#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/output.h"
#include "core/tracker_control.h"

namespace larder::cli {

// A member of the trackers' group, as `tracker status` shows it.
struct TrackerRow {
  std::optional<uint64_t> id;                         // its Raft id
  std::string address;                                // empty: the leader alone tells of it
  std::optional<tracker::v1::StatusResponse> status;  // its own word
  std::optional<uint64_t> lag;                        // entries that it does not have yet, as the leader knows
  std::string trouble;                                // why there is no status
};

// One for each answer, in their order. If one tracker did not answer and the leader knows of one that was not heard,
// they are the same; if it knows of more that were not heard than did not answer, each of those has a row, too. Pure.
std::vector<TrackerRow> TrackerRows(std::span<const TrackerAnswer> answers);

std::vector<Column> TrackerColumns(bool wide);
std::vector<std::string> TrackerCells(const TrackerRow& row, bool wide);
// What is not known is null.
nlohmann::ordered_json TrackerJson(const TrackerRow& row);

}  // namespace larder::cli
