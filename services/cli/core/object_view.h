#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/output.h"
#include "larder/object/object.h"

namespace larder::cli {

// How objects are shown. Pure. `node` is the node of the agent that was asked: without a placement only its own copy is
// known, or (no tier) none.
nlohmann::ordered_json ObjectJson(const object::ObjectStat& stat, const std::string& node);
// `durability` none: not known, as of an object that was there before.
nlohmann::ordered_json ImportJson(const object::ObjectInfo& info, object::AckPolicy ack,
                                  std::optional<object::Durability> durability);
// One line; bytes that are not UTF-8 are replaced.
std::string JsonText(const nlohmann::ordered_json& json);

// The rows of `list`.
std::vector<Column> ListColumns(bool wide);
std::vector<std::string> ListCells(const object::ObjectInfo& info, bool wide);
// What `stat` prints: a name and a value per line.
std::string Description(const object::ObjectStat& stat, const std::string& node, bool wide);

// "59 s", "12 min", "3 h", "7 d": the two largest units would be noise.
std::string ShortDuration(base::Duration duration);

}  // namespace larder::cli
