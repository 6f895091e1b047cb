#include "larder/object/examination.h"

#include <algorithm>
#include <array>

#include "larder/base/status.h"

namespace larder::object {
namespace {

constexpr std::string_view kCallers = "#callers", kNamespaces = "#namespaces", kCluster = "#cluster";

struct ReasonAdvice {
  std::string_view reason;
  Advice advice;
};
constexpr std::array<ReasonAdvice, 19> kByReason = {{
    {"NO_POD", {"call from a pod of this node: the agent serves no others", kCallers}},
    {"TWO_PODS", {"call from a process whose cgroups are those of one pod", kCallers}},
    {"UNKNOWN_POD", {"has the pod just started? run it again; else add it to the agent's 'pods_file'", kCallers}},
    {"CALLER_ENDED", {"connect from the process that goes on", kCallers}},
    {"CALLER_UNSEEN", {"run the agent with hostPID, and a /proc that hides nobody", kCallers}},
    {"CALLER_UNSURE", {"run it again", kCallers}},
    {"NO_TOKEN", {"mend what keeps data.sock from giving a session, and run it again", kCallers}},
    {"NO_SESSION", {"run it again: the session has ended", kCallers}},
    {"FOREIGN_NAMESPACE", {"ask for your own namespace, or none", kNamespaces}},
    {"BAD_NAMESPACE", {"ask for your own namespace, or none", kNamespaces}},
    {"NODE_FENCED", {"look at the trackers and the network: it goes on by itself", kCluster}},
    {"NO_TRACKER", {"look at the trackers and the network: it goes on by itself", kCluster}},
    {"DISK_FULL", {"larder top shows what holds it", "#full-disk"}},
    {"QUOTA_EXCEEDED", {"delete objects, or have the quota raised", "#quotas"}},
    {"NO_ANSWER", {"is it stopped, or out of CPU? look at its log, restart it", "#no-answer"}},
    {"OLD_AGENT", {"use a larder of the agent's version", "#versions"}},
    {"BAD_RECORD", {"use a larder of the agent's version", "#versions"}},
    {"EACCES", {"let this user enter the directory and write to its sockets", "#permissions"}},
    {"EPERM", {"let this user enter the directory and write to its sockets", "#permissions"}},
}};

}  // namespace

Advice AdviceFor(const absl::Status& why) {
  const std::string reason = base::Reason(why);
  const auto known = std::ranges::find(kByReason, reason, &ReasonAdvice::reason);
  if (known != kByReason.end()) return known->advice;
  switch (why.code()) {
    case absl::StatusCode::kResourceExhausted:
      return {"larder top shows what holds it", "#full-arena"};
    case absl::StatusCode::kDataLoss:
      return {"report it with the agent's log", "#damaged-objects"};
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return {"is the agent being restarted, or out of CPU? run it again", "#no-answer"};
    default:
      return {"look the error up", "#reasons"};
  }
}

}  // namespace larder::object
