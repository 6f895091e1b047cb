#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/output.h"
#include "larder/agent/v1/agent.pb.h"

// How `larder nodes` shows nodes. Pure.
namespace larder::cli {

std::vector<Column> NodeColumns(bool wide);
std::vector<std::string> NodeCells(const agent::v1::Node& node, agent::v1::NodeSource source, bool wide);
// What is not known is null.
nlohmann::ordered_json NodeJson(const agent::v1::Node& node, agent::v1::NodeSource source);

}  // namespace larder::cli
