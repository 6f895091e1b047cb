#include "core/kubernetes.h"

#include <absl/strings/numbers.h>
#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "larder/base/file.h"
#include "larder/base/status.h"

namespace larder::cli {
namespace {

using Json = nlohmann::json;

constexpr int kPodsOfAPage = 50;  // some MiB
constexpr uint64_t kLongestToken = 64 << 10;
constexpr size_t kShown = 200;  // characters of an answer that is none

std::string VariableOf(const config::Environment& env, const std::string& name) {
  const auto found = env.find(name);
  return found == env.end() ? "" : found->second;
}

absl::Status BadAnswer(std::string_view what, std::string_view answer) {
  return base::Error(absl::StatusCode::kInternal, "KUBERNETES_ANSWER", "the API server's answer is {}: {}", what,
                     answer.substr(0, kShown));
}

// Its kubelet unmounts the volumes of a pod that has ended, and has none of one without a node.
bool HoldsVolumes(const Json& pod) {
  const std::string phase = pod.value("/status/phase"_json_pointer, "");
  return phase != "Succeeded" && phase != "Failed" && !pod.value("/spec/nodeName"_json_pointer, "").empty();
}

bool HasVolumeOf(const Json& pod, std::string_view driver) {
  const Json& spec = pod.at("spec");
  return spec.contains("volumes") && std::ranges::any_of(spec.at("volumes"), [&](const Json& volume) {
           return volume.value("/csi/driver"_json_pointer, std::string()) == driver;
         });
}

// Most of a pod, which nobody here reads.
bool IsNeeded(int, Json::parse_event_t event, const Json& parsed) {
  static const std::set<std::string> kUnneeded = {"managedFields", "annotations", "containers", "initContainers"};
  return event != Json::parse_event_t::key || !kUnneeded.contains(parsed.get<std::string>());
}

PodRef RefOf(const Json& pod) {
  return {.ns = pod.value("/metadata/namespace"_json_pointer, ""),
          .name = pod.value("/metadata/name"_json_pointer, ""),
          .node = pod.value("/spec/nodeName"_json_pointer, "")};
}

}  // namespace

absl::StatusOr<KubernetesApi> KubernetesApi::OfThisPod(const config::Environment& env,
                                                       const std::filesystem::path& account) {
  KubernetesApi api;
  api.host_ = VariableOf(env, "KUBERNETES_SERVICE_HOST");
  if (api.host_.empty() || !absl::SimpleAtoi(VariableOf(env, "KUBERNETES_SERVICE_PORT"), &api.port_)) {
    return base::InvalidArgument("NO_KUBERNETES",
                                 "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not name an API server (run "
                                 "this in a pod)");
  }
  absl::StatusOr<std::string> token = base::ReadFile(account / "token", kLongestToken);
  api.ca_ = account / "ca.crt";
  if (!token.ok() || !std::filesystem::exists(api.ca_)) {
    return base::InvalidArgument("NO_KUBERNETES",
                                 "there is no ServiceAccount with token and ca.crt in {} (the pod needs "
                                 "automountServiceAccountToken: true)",
                                 account.string());
  }
  api.token_ = *std::move(token);
  while (api.token_.ends_with('\n')) api.token_.pop_back();
  return api;
}

absl::StatusOr<std::string> KubernetesApi::Get(const std::string& path, const HttpQuery& query,
                                               base::Duration timeout) const {
  httplib::SSLClient client(host_, port_);
  client.set_ca_cert_path(ca_.c_str());
  client.set_bearer_token_auth(token_);
  const auto patience = std::chrono::duration_cast<std::chrono::microseconds>(timeout);
  client.set_connection_timeout(patience);
  client.set_read_timeout(patience);
  client.set_write_timeout(patience);
  const httplib::Result result = client.Get(path, query, {});
  if (!result) {
    const bool stranger = result.error() == httplib::Error::SSLServerVerification;
    return base::Error(absl::StatusCode::kUnavailable, "NO_API_SERVER", "the API server at {}:{} does not answer: {}",
                       host_, port_,
                       stranger ? "ca.crt does not vouch for its certificate" : httplib::to_string(result.error()));
  }
  if (result->status == 401 || result->status == 403) {
    return base::Error(absl::StatusCode::kPermissionDenied, "KUBERNETES_REFUSES",
                       "the API server refuses this ServiceAccount: HTTP {}: {}", result->status,
                       result->body.substr(0, kShown));
  }
  if (result->status != 200) return BadAnswer("HTTP " + std::to_string(result->status), result->body);
  return std::move(result->body);
}

absl::StatusOr<std::vector<PodRef>> PodsOfDriver(
    std::string_view driver,
    const std::function<absl::StatusOr<std::string>(const std::string& path, const HttpQuery& query)>& get) {
  std::vector<PodRef> pods;
  std::string next;
  do {
    HttpQuery query = {{"limit", std::to_string(kPodsOfAPage)}};
    if (!next.empty()) query.emplace("continue", next);
    LARDER_ASSIGN_OR_RETURN(const std::string text, get("/api/v1/pods", query));
    try {  // which one throws that is no JSON, or has a field of another type
      const Json page = Json::parse(text, IsNeeded);
      if (page.at("kind") != "PodList") return BadAnswer("no list of pods", text);
      for (const Json& pod : page.at("items")) {
        if (HoldsVolumes(pod) && HasVolumeOf(pod, driver)) pods.push_back(RefOf(pod));
      }
      next = page.value("/metadata/continue"_json_pointer, "");
    } catch (const Json::exception&) {
      return BadAnswer("no list of pods", text);
    }
  } while (!next.empty());
  return pods;
}

}  // namespace larder::cli
