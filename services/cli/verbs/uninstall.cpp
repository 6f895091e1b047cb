#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/context.h"
#include "core/kubernetes.h"
#include "core/object_view.h"
#include "larder/base/status.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

constexpr std::string_view kAccount = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::string_view kDriver = "csi.larder.io";
constexpr base::Duration kPatience = std::chrono::seconds(10);

absl::Status UninstallCheck(Context& context, const Arguments& arguments) {
  const std::string account = arguments.Has("--account") ? arguments.Text("--account") : std::string(kAccount);
  const std::string driver = arguments.Has("--driver") ? arguments.Text("--driver") : std::string(kDriver);
  LARDER_ASSIGN_OR_RETURN(const KubernetesApi api, KubernetesApi::OfThisPod(context.env, account));
  LARDER_ASSIGN_OR_RETURN(const std::vector<PodRef> pods,
                          PodsOfDriver(driver, [&](const std::string& path, const HttpQuery& query) {
                            return api.Get(path, query, std::min(context.Patience(), kPatience));
                          }));
  if (context.json()) {
    auto json = nlohmann::ordered_json::array();
    for (const PodRef& pod : pods) json.push_back({{"namespace", pod.ns}, {"name", pod.name}, {"node", pod.node}});
    context.out.Line(JsonText(json));
  } else if (context.quiet) {
    for (const PodRef& pod : pods) context.out.Line(pod.ns + "/" + pod.name);
  } else if (!pods.empty()) {
    const std::vector<Column> columns = {{"NAMESPACE", 20}, {"POD", 40}, {"NODE", 0}};
    context.out.Line(TableHead(columns));
    for (const PodRef& pod : pods) context.out.Line(TableRow(columns, {pod.ns, pod.name, pod.node}));
  }
  if (pods.empty()) return absl::OkStatus();
  return base::Error(absl::StatusCode::kFailedPrecondition, "DRIVER_IN_USE",
                     "pods that have a volume of {}, and could not be removed without it: {} (remove them first)",
                     driver, pods.size());
}

}  // namespace

Verb UninstallCheckVerb() {
  return {
      .name = "uninstall check",
      .summary = "Fail if pods of this Kubernetes have a volume of the CSI driver; for the chart's job",
      .example = "larder uninstall check --driver csi.larder.io",
      .flags = {{.name = "--driver", .value = "NAME", .help = "the CSI driver (csi.larder.io)"},
                {.name = "--account",
                 .value = "DIR",
                 .help = "the pod's ServiceAccount: token and ca.crt (where the kubelet puts them)",
                 .complete = Complete::kDir},
                {.name = "--quiet", .help = "print NAMESPACE/POD only, one a line", .letter = 'q'}},
      .run = UninstallCheck,
  };
}

}  // namespace larder::cli
