#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/cgroup.h"
#include "larder/base/status.h"

// Any bytes as a /proc/PID/cgroup: a pod with a well-formed uid, or a refusal; and once it is a pod's, no name below it
// makes it another's.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using larder::cache_agent::PodOfCgroups;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto pod = PodOfCgroups(text);
  if (!pod.ok()) {
    const std::string reason = larder::base::Reason(pod.status());
    if (reason != "NO_POD" && reason != "TWO_PODS") std::abort();
    return 0;
  }
  if (!larder::cache_agent::IsPodUid(pod->uid)) std::abort();
  if (!pod->container.empty() && pod->container.size() != 64) std::abort();
  const auto below = PodOfCgroups(text + "/kubepods/burstable/pod00000000-1111-2222-3333-444444444444/x");
  if (below.ok() && below->uid != pod->uid) std::abort();
  return 0;
}
