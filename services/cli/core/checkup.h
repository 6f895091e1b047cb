#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "larder/agent/v1/agent.pb.h"
#include "larder/base/clock.h"
#include "larder/object/examination.h"

// What `larder doctor` makes of what it sees. Pure.
namespace larder::cli {

// A failure, and what to do about it.
object::Finding Failed(std::string name, const absl::Status& why, std::string_view remedy, std::string_view topic);

// Why the agent's control socket gave no answer.
object::Finding CheckControl(const absl::Status& why);

// Versions that work together are those of one release and of the one before or after it: the same major number, minor
// numbers that differ by at most one.
object::Finding CheckVersion(const std::string& own, const std::string& agents);
// The agent's wall clock, as told between `asked` and `answered` of our own.
object::Finding CheckClock(base::WallTime agents, base::WallTime asked, base::WallTime answered);

// An agent's answer, part by part: whose namespace, memory, disk, open files.
std::vector<object::Finding> CheckStatus(const agent::v1::StatusResponse& status);

// "ok    name          what", "fail  name          what (remedy; docs/troubleshooting.md#topic)"
std::string FindingLine(const object::Finding& finding);
nlohmann::ordered_json FindingJson(const object::Finding& finding);

// OK unless something failed: then the first failure, as an error (CHECK_FAILED) of its kind.
absl::Status Conclusion(const std::vector<object::Finding>& findings);

}  // namespace larder::cli
