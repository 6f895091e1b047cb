// ./scripts/bench agent: a pod's way to its node's agent, beside rivals over Unix sockets in the same run. The server
// of each runs on CPU 0, the client on CPU 1; readers add up every byte.
#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include "src/grpc_rival.h"
#include "src/rows.h"
#include "src/scratch_dir.h"

namespace larder::bench {
namespace {

struct Part {
  std::string_view name;
  void (*measure)(Bench&);
};
constexpr Part kParts[] = {{"objects", ObjectRows}, {"huge", HugeRows},       {"batch", BatchRows},  {"cpu", CpuRows},
                           {"cli", CliRows},        {"reclaim", ReclaimRows}, {"steady", SteadyRows}};
constexpr char kUsage[] = "usage: bench_agent [--json FILE] [objects|huge|batch|cpu|cli|reclaim|steady]…\n";

void Measure(const std::vector<Part>& parts, const std::string& json) {
  PinTo(kClientCpu);
  const ScratchDir sockets("/tmp/larder-bench.XXXXXX"), files("/dev/shm/larder-bench.XXXXXX");
  Bench bench{.dir = sockets.path(), .tmpfs = files.path()};
  for (const Part& part : parts) {
    std::fprintf(stderr, "bench: %s\n", part.name.data());  // only the table goes to stdout
    part.measure(bench);
  }
  bench.report.Print();
  if (!json.empty() && !bench.report.WriteJson(json)) Die("cannot write " + json);
}

int Run(int argc, char** argv) {
  std::string json;
  std::vector<Part> parts;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto* part = std::ranges::find(kParts, argument, &Part::name);
    if (part != std::end(kParts)) {
      parts.push_back(*part);
    } else if (argument == "--json" && i + 1 < argc) {
      json = argv[++i];
    } else if (argument == GrpcUnary::kServeFlag && i + 1 < argc) {
      GrpcUnary::Serve(argv[++i]);
      return 0;
    } else {
      std::fputs(kUsage, stderr);
      return argument == "--help" ? 0 : 2;
    }
  }
  if (parts.empty()) parts.assign(std::begin(kParts), std::end(kParts));
  Measure(parts, json);
  return 0;
}

}  // namespace
}  // namespace larder::bench

int main(int argc, char** argv) { return larder::bench::RunMain(larder::bench::Run, argc, argv); }
