// What agents take of memory while more passes from one to the other than they could hold.
#include <fstream>
#include <string>
#include <vector>

#include "src/measure.h"
#include "src/scratch_dir.h"
#include "src/swarm/cluster.h"
#include "src/swarm/rows.h"

namespace larder::bench {
namespace {

constexpr uint64_t kSize = 256ull << 20;
constexpr uint64_t kPassing = 10ull << 30;

// VmHWM: the most of memory that the process had at once.
double PeakRss(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    uint64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return static_cast<double>(kib) * 1024;
  }
  Die("an agent has ended");
}

void ReadOut(object::ObjectReader& reader) {
  if (reader.info().size != kSize) Die("an object of another size");
  std::vector<std::byte> part(1 << 20);
  for (uint64_t at = 0; at < kSize; at += part.size()) Must(reader.Read(at, part));
}

}  // namespace

void AddMemoryRows(Report& report) {
  const ScratchDir dir("/dev/shm/larder-bench.XXXXXX");
  Cluster cluster(
      {.dir = dir.path() + "/nodes", .agents = 2, .peer_manager = false, .flags = {"--arena=256MiB", "--store=file"}});
  const std::string bytes(kSize, 'x');
  for (uint64_t passed = 0; passed < kPassing; passed += kSize) {
    Must(cluster.Of(0).Put({.key = "object"}, std::as_bytes(std::span(bytes))));
    ReadOut(*Must(cluster.Of(1).Get("object")));
    cluster.Delete("object");
  }
  const auto peak = [&](size_t agent) { return Amount{.value = PeakRss(cluster.pid(agent)) / 1e6, .unit = "MB"}; };
  report.AddAmount("swarm.rss_parent", "10 GiB pass: the parent's VmHWM", peak(0), {});
  report.AddAmount("swarm.rss_child", "10 GiB pass: the child's VmHWM", peak(1), {});
}

}  // namespace larder::bench
