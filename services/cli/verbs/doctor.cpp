#include <nlohmann/json.hpp>

#include "core/agent_control.h"
#include "core/checkup.h"
#include "core/context.h"
#include "core/object_view.h"
#include "larder/base/status.h"
#include "larder/rpc/process.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

using object::Finding;

constexpr base::Duration kPatience = std::chrono::seconds(5);

// Shows findings as they come.
class Report {
 public:
  explicit Report(Context& context) : context_(context) {}

  absl::Status Add(const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) {
      all_.push_back(finding);
      if (!context_.json() && !(context_.quiet && finding.verdict == Finding::Verdict::kOk)) {
        context_.out.Line(FindingLine(finding));
      }
    }
    return context_.out.Flush();
  }
  // The verb's outcome.
  absl::Status End() {
    if (context_.json()) {
      nlohmann::ordered_json json = nlohmann::ordered_json::array();
      for (const Finding& finding : all_) json.push_back(FindingJson(finding));
      context_.out.Line(JsonText(json));
    }
    return Conclusion(all_);
  }

 private:
  Context& context_;
  std::vector<Finding> all_;
};

// By the transport's own means, or by dialling.
object::Examination ExamineWay(const Endpoint& endpoint, const object::ExamineOptions& options) {
  if (endpoint.transport.examine != nullptr) return endpoint.transport.examine(endpoint.address, options);
  const base::Deadline deadline = base::SystemClock().Now() + options.patience;
  const auto channel = endpoint.transport.dial(endpoint.address, {.ns = options.ns, .deadline = deadline});
  if (channel.ok()) return {.findings = {{.name = "connection", .what = (*channel)->node()}}};
  return {.findings = {Failed("connection", channel.status(), "start the agent", "#no-agent")}};
}

std::vector<Finding> AskAgent(Context& context) {
  const auto control = AgentControl::Open(context.settings.endpoint, context.settings.ns);
  if (!control.ok()) return {Failed("control", control.status(), "ask it over another endpoint", "#no-agent")};
  const base::SystemClock clock;
  const base::WallTime asked = clock.WallNow();
  const auto status = (*control)->Status(kPatience);
  if (!status.ok()) return {CheckControl(status.status())};
  const base::WallTime answered = clock.WallNow();
  std::vector<Finding> findings = {{.name = "control", .what = (*control)->where() + " answers"}};
  findings.push_back(CheckVersion(std::string(rpc::Version()), status->version()));
  findings.push_back(CheckClock(base::WallTime(std::chrono::milliseconds(status->wall_time_ms())), asked, answered));
  const std::vector<Finding> about = CheckStatus(*status);
  findings.insert(findings.end(), about.begin(), about.end());
  return findings;
}

absl::Status Doctor(Context& context, const Arguments& given) {
  Report report(context);
  const absl::StatusOr<Endpoint> endpoint = ParseEndpoint(context.settings.endpoint);
  if (!endpoint.ok()) {
    LARDER_RETURN_IF_ERROR(report.Add({Failed(
        "endpoint", endpoint.status(), "an endpoint is a scheme and an address: see larder --help", "#no-agent")}));
    return report.End();
  }
  LARDER_RETURN_IF_ERROR(report.Add({{.name = "endpoint", .what = context.settings.endpoint}}));
  const object::Examination way =
      ExamineWay(*endpoint, {.ns = context.settings.ns, .read_only = given.Has("--read-only"), .patience = kPatience});
  LARDER_RETURN_IF_ERROR(report.Add(way.findings));
  LARDER_RETURN_IF_ERROR(report.Add(AskAgent(context)));
  return report.End();
}

}  // namespace

Verb DoctorVerb() {
  return {
      .name = "doctor",
      .summary = "Check the way to the agent and the agent itself, and say what to do",
      .example =
          "larder doctor\n"
          "larder doctor -e uds:///run/larder --read-only -o json",
      .flags = {{.name = "--read-only", .help = "store nothing (otherwise two objects, which are deleted at once)"},
                {.name = "--quiet", .help = "print only what is not well", .letter = 'q'}},
      .run = Doctor,
  };
}

}  // namespace larder::cli
