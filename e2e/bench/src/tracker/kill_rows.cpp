// From kill -9 to the leader until a write that was sent after it is acknowledged. That none is lost is e2e/tracker's.
#include <atomic>
#include <thread>

#include "src/tracker/rows.h"
#include "src/tracker/servers.h"

namespace larder::bench {
namespace {

constexpr size_t kConnections = 24;  // over all three
constexpr auto kBefore = std::chrono::milliseconds(300);
constexpr auto kLimit = std::chrono::seconds(30);

// Seconds.
double KillOnce(Trackers& trackers) {
  LoadOptions options{.servers = trackers.All(),
                      .speak = [] { return SpeakResp(Verb::kSet, std::string(256, 'v')); },
                      .connections = kConnections,
                      .servers_may_fail = true};
  Load load(std::move(options));
  Trackers::Killed killed;
  std::atomic<Moment> gone = Moment::max();
  std::jthread killer([&] {
    std::this_thread::sleep_for(kBefore);
    killed = trackers.KillLeader();
    gone = killed.gone;
  });
  // What was sent earlier may have been acknowledged by the old leader.
  Moment first = Moment::max();
  load.Run(std::chrono::steady_clock::now() + kLimit, [&](const Load::Done& done) {
    if (done.sent < gone.load()) return true;
    first = done.at;
    return false;
  });
  killer.join();
  if (first == Moment::max()) Die("no write is acknowledged after a leader was killed");
  trackers.StartKilled();
  return std::chrono::duration<double>(first - killed.sent).count();
}

}  // namespace

void KillRows(TrackerBench& bench) {
  Trackers trackers(bench.dir + "/killed");
  trackers.Leader();
  std::vector<double> gaps(bench.quick ? 1 : 15);
  for (double& gap : gaps) gap = KillOnce(trackers);
  bench.report.Add("tracker.leader_kill", "leader kill -9: first write after it, max", {.seconds = Percentile(gaps, 1)},
                   {{"p50 of it", {.seconds = Percentile(gaps, 0.5)}}});
}

}  // namespace larder::bench
