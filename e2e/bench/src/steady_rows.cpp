// Into room that is full: every put makes something older give way.
#include <fmt/format.h>

#include "src/rows.h"

namespace larder::bench {
namespace {

constexpr uint64_t kArena = 1024;       // MiB
constexpr uint64_t kTimesWritten = 10;  // in kRounds rounds

}  // namespace

void SteadyRows(Bench& bench) {
  Agent agent(bench.dir + "/steady", fmt::format("{}MiB", kArena), true);
  Redis redis(bench.dir + "/steady", kArena);
  const auto memcached = StartMemcached(bench.dir + "/steady", kArena);
  uint64_t next = 0;
  const auto fresh = [&] { return fmt::format("steady/{}", next++); };
  const auto measure = [&](uint64_t size) {
    const std::vector<char> bytes(size, 'x');
    // A round writes each of them through twice. The mean: making room is not for every put, but none comes without it.
    return bench.watch.InTurn(static_cast<int>(kArena * kMiB * kTimesWritten / kRounds / size),
                              {
                                  {[&] { agent.PutInPlace(fresh(), bytes.data(), size); }},
                                  {[&] { redis.Set(fresh(), bytes.data(), size); }},
                                  {[&] { memcached->Set(fresh(), bytes.data(), size); }},
                              },
                              Of::kMean);
  };
  const auto middle = measure(kMiB);
  bench.report.Add("agent.put_1m_steady", "put 1 MiB, arena full, mean", middle[0],
                   {{"redis", middle[1]}, {"memcached", middle[2]}});
  const auto large = measure(64 * kMiB);
  bench.report.Add("agent.put_64m_steady", "put 64 MiB, arena full, mean", large[0],
                   {{"redis", large[1]}, {"memcached", large[2]}});
}

}  // namespace larder::bench
