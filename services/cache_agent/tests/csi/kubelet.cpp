// A kubelet for tests in other languages.
//
// usage: cache_agent_kubelet KUBELET_DIR DRIVER {publish|unpublish} N...
//
// Registers the driver, whose agent is there or comes soon, and has it publish or unpublish the volumes of pods number
// N.
#include <fmt/format.h>

#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "larder/base/status.h"
#include "tests/csi/fake_kubelet.h"

namespace larder::cache_agent::csi {
namespace {

absl::Status Run(std::span<char*> args) {
  FakeKubelet kubelet(args[0]);
  LARDER_RETURN_IF_ERROR(kubelet.Register(args[1]).status());
  const bool publish = std::string_view(args[2]) == "publish";
  for (const char* number : args.subspan(3)) {
    const FakePod pod = PodNumber(std::stoi(number));
    LARDER_RETURN_IF_ERROR(publish ? kubelet.Publish(pod) : kubelet.Unpublish(pod));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace larder::cache_agent::csi

int main(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "usage: {} KUBELET_DIR DRIVER publish|unpublish N...\n", argv[0]);
    return 2;
  }
  const absl::Status done = larder::cache_agent::csi::Run(std::span(argv + 1, argv + argc));
  if (!done.ok()) fmt::print(stderr, "{}\n", done.ToString());
  return done.ok() ? 0 : 1;
}
