#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "larder/base/clock.h"
#include "larder/config/resolve.h"

namespace larder::cli {

using HttpQuery = std::multimap<std::string, std::string>;

// The API server of the Kubernetes that this process is a pod of, and the pod's ServiceAccount there. Not thread-safe.
class KubernetesApi {
 public:
  // From what the kubelet gives a pod: its environment, and `account`, a folder with a token and ca.crt.
  // INVALID_ARGUMENT (NO_KUBERNETES) where either is not there.
  static absl::StatusOr<KubernetesApi> OfThisPod(const config::Environment& env, const std::filesystem::path& account);

  // The body that a GET of `path` with `query` has. UNAVAILABLE (NO_API_SERVER) if nobody whom ca.crt vouches for
  // answers within `timeout`, PERMISSION_DENIED (KUBERNETES_REFUSES) if the account may not, INTERNAL
  // (KUBERNETES_ANSWER) for any other answer but 200.
  absl::StatusOr<std::string> Get(const std::string& path, const HttpQuery& query, base::Duration timeout) const;

 private:
  std::string host_, token_, ca_;
  int port_ = 0;
};

struct PodRef {
  std::string ns, name, node;
  bool operator==(const PodRef&) const = default;
};

// Pods with an inline volume of the CSI driver that have not ended: the kubelet can only let them go while the driver
// serves. Asks page by page through `get`, whose errors come back. INTERNAL (KUBERNETES_ANSWER): that is no list of
// pods.
absl::StatusOr<std::vector<PodRef>> PodsOfDriver(
    std::string_view driver,
    const std::function<absl::StatusOr<std::string>(const std::string& path, const HttpQuery& query)>& get);

}  // namespace larder::cli
