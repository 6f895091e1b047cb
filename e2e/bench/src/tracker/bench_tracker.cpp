// ./scripts/bench tracker: three trackers as processes on one disk, beside etcd, redis and the disk itself in the same
// run. Servers and load share the processors as the scheduler likes.
#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include "src/scratch_dir.h"
#include "src/server.h"
#include "src/tracker/quorum_append.h"
#include "src/tracker/rows.h"

namespace larder::bench {
namespace {

struct Part {
  std::string_view name;
  void (*measure)(TrackerBench&);
};
constexpr Part kParts[] = {{"rates", RateRows}, {"catalogue", CatalogueRows}, {"kills", KillRows}};
constexpr char kUsage[] =
    "usage: bench_tracker [--json FILE] [--quick] [rates|catalogue|kills]…\n\n"
    "  --quick   one short round, to see that all of it works\n";

void Measure(const std::vector<Part>& parts, bool quick, const std::string& json) {
  // Beside this program, so on a disk; in memory a sync costs nothing.
  const ScratchDir data(ProgramPath("bench-tracker.XXXXXX"));
  struct statfs disk {};
  if (::statfs(data.path().c_str(), &disk) != 0 || disk.f_type == TMPFS_MAGIC) Die(data.path() + " is not on a disk");
  TrackerBench bench{.dir = data.path(), .quick = quick, .report = {}};
  for (const Part& part : parts) {
    std::fprintf(stderr, "bench: %s\n", part.name.data());  // only the table goes to stdout
    part.measure(bench);
  }
  bench.report.Print();
  if (!json.empty() && !bench.report.WriteJson(json)) Die("cannot write " + json);
}

int Run(int argc, char** argv) {
  std::string json;
  bool quick = false;
  std::vector<Part> parts;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto* part = std::ranges::find(kParts, argument, &Part::name);
    if (part != std::end(kParts)) {
      parts.push_back(*part);
    } else if (argument == "--json" && i + 1 < argc) {
      json = argv[++i];
    } else if (argument == "--quick") {
      quick = true;
    } else if (argument == QuorumAppend::kFollowFlag && i + QuorumAppend::kFollowWords < argc) {
      QuorumAppend::Follow({argv + i + 1, argv + argc});
    } else {
      std::fputs(kUsage, stderr);
      return argument == "--help" ? 0 : 2;
    }
  }
  if (parts.empty()) parts.assign(std::begin(kParts), std::end(kParts));
  Measure(parts, quick, json);
  return 0;
}

}  // namespace
}  // namespace larder::bench

int main(int argc, char** argv) { return larder::bench::RunMain(larder::bench::Run, argc, argv); }
