#pragma once
#include <absl/status/status.h>

#include <string>
#include <vector>

#include "larder/base/clock.h"

namespace larder::object {

// What was found out about one part of the way to an agent, for people: a line of `larder doctor`.
struct Finding {
  enum class Verdict : uint8_t { kOk, kWarning, kFailure };
  Verdict verdict = Verdict::kOk;
  std::string name;    // of what was looked at, the same whatever was found
  std::string what;    // was found
  std::string remedy;  // what to do about it; empty if it is well
  std::string topic;   // the section of docs/troubleshooting.md that tells more; empty if it is well
  absl::StatusCode code = absl::StatusCode::kOk;  // of a failure: the kind of error that users of this part meet
};

struct ExamineOptions {
  std::string ns;                                     // to ask for; empty: the agent's choice
  bool read_only = false;                             // else an object of a key of its own is stored, read and deleted
  base::Duration patience = std::chrono::seconds(5);  // with each answer
};

// Findings in the order they were made. What needs a part that failed is not looked at.
struct Examination {
  std::vector<Finding> findings;
  // As the agent introduced itself; empty if it did not come to that.
  std::string ns;
  std::string node;
  std::string version;
};

// What to do about an error that an agent gave, or the way to it: a Finding's remedy and topic.
struct Advice {
  std::string_view remedy;
  std::string_view topic;
};
// By reason, or by code where a reason has no advice of its own. Pure.
Advice AdviceFor(const absl::Status& why);

}  // namespace larder::object
