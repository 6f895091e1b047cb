#pragma once
#include <absl/status/status.h>

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "core/rates.h"
#include "larder/agent/v1/agent.pb.h"

// What `larder top -o json` prints. Pure.
namespace larder::cli {

// One sample; `per_second` is null without rates.
nlohmann::ordered_json TopJson(const agent::v1::StatusResponse& status, const std::optional<Rates>& rates);
// {"error": {"code", "reason", "message", "retryable"}}
nlohmann::ordered_json ErrorJson(const absl::Status& status);

}  // namespace larder::cli
