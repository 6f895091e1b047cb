// Closed loops: so many requests under way all the time, for a slot of the same length each, in turn.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "src/tracker/quorum_append.h"
#include "src/tracker/rows.h"
#include "src/tracker/servers.h"
#include "src/tracker/sync_probe.h"

namespace larder::bench {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr size_t kValueSize = 256;
// Streams of a gRPC connection to etcd. One connection would have Go's server handle its frames one after the other,
// and one a request would cost more than gRPC's clients do.
constexpr size_t kStreams = 16;

// What one slot gave, in seconds.
struct Slot {
  double each;  // from the end of one operation to the next one's
  Latency latency;
};

Slot OfSamples(const std::vector<double>& samples, Seconds elapsed) {
  if (samples.empty()) Die("nothing was answered within a slot");
  return {.each = elapsed.count() / static_cast<double>(samples.size()),
          .latency = {.p50 = Percentile(samples, 0.5), .p99 = Percentile(samples, 0.99)}};
}

// One operation after the other.
Slot OneByOne(Seconds length, const std::function<void()>& run) {
  std::vector<double> samples;
  const Moment begun = std::chrono::steady_clock::now();
  Moment last = begun;
  while (last - begun < length) {
    run();
    const Moment now = std::chrono::steady_clock::now();
    samples.push_back(Seconds(now - last).count());
    last = now;
  }
  return OfSamples(samples, last - begun);
}

Slot UnderLoad(Seconds length, LoadOptions options) {
  Load load(std::move(options));
  std::vector<double> samples;
  const Moment begun = std::chrono::steady_clock::now();
  Moment last = begun;
  load.Run(begun + std::chrono::duration_cast<Moment::duration>(length), [&](const Load::Done& done) {
    samples.push_back(Seconds(done.at - done.sent).count());
    last = done.at;
    return true;
  });
  return OfSamples(samples, last - begun);
}

// All who take part, and how each is loaded.
class Contest {
 public:
  Contest(const std::string& dir, Seconds slot)
      : slot_(slot),
        trackers_(dir + "/trackers"),
        etcd_(dir + "/etcd"),
        redis_(dir + "/redis"),
        append_(dir + "/append", kValueSize),
        disk_(dir + "/synced", kValueSize) {}

  Slot Tracker(Verb verb, size_t in_flight) { return UnderLoad(slot_, OfResp(trackers_.Leader(), verb, in_flight)); }
  Slot Redis(Verb verb, size_t in_flight) { return UnderLoad(slot_, OfResp(redis_.endpoint(), verb, in_flight)); }
  Slot Etcd(Verb verb, size_t in_flight) {
    const size_t streams = std::min(kStreams, in_flight);
    return UnderLoad(slot_, {.servers = {etcd_.Leader()},
                             .speak = [this, verb] { return SpeakEtcd(verb, value_); },
                             .connections = in_flight / streams,
                             .in_flight = streams});
  }
  Slot BareAppend() {
    return OneByOne(slot_, [this] { append_.Append(); });
  }
  Slot Disk() {
    return OneByOne(slot_, [this] { disk_.Append(); });
  }
  // So that every GET finds its key.
  void Fill() {
    for (const LoadOptions& options :
         {OfResp(trackers_.Leader(), Verb::kSet, 64), LoadOptions{.servers = {etcd_.Leader()},
                                                      .speak = [this] { return SpeakEtcd(Verb::kSet, value_); },
                                                      .connections = 4,
                                                      .in_flight = kStreams}}) {
      uint32_t left = Load::kKeys;
      Load(options).Run(std::chrono::steady_clock::now() + kFillLimit, [&](const Load::Done&) { return --left > 0; });
      if (left > 0) Die("filling a server takes too long");
    }
  }

 private:
  static constexpr auto kFillLimit = std::chrono::seconds(60);
  LoadOptions OfResp(Endpoint server, Verb verb, size_t connections) const {
    return {.servers = {std::move(server)},
            .speak = [this, verb] { return SpeakResp(verb, value_); },
            .connections = connections};
  }

  const std::string value_ = std::string(kValueSize, 'v');
  Seconds slot_;
  Trackers trackers_;
  EtcdServers etcd_;
  SyncedRedis redis_;
  QuorumAppend append_;
  SyncProbe disk_;
};

// The slots of each who takes part, by name.
using Slots = std::map<std::string, std::vector<Slot>>;

Timing OfSlots(const std::vector<Slot>& slots, bool noisy, double Latency::*part = nullptr) {
  const auto figures = [&](auto get) {
    std::vector<double> values;
    for (const Slot& slot : slots) values.push_back(get(slot));
    return values;
  };
  const Timing p50 = OfRounds(figures([](const Slot& slot) { return slot.latency.p50; }));
  const Timing p99 = OfRounds(figures([](const Slot& slot) { return slot.latency.p99; }));
  Timing timing = OfRounds(figures([&](const Slot& slot) { return part == nullptr ? slot.each : slot.latency.*part; }));
  timing.noisy = noisy;
  if (part == nullptr) timing.latency = Latency{.p50 = p50.seconds, .p99 = p99.seconds};
  return timing;
}

}  // namespace

void RateRows(TrackerBench& bench) {
  constexpr size_t kDepths[] = {1, 16, 64, 256};
  Contest contest(bench.dir, Seconds(bench.quick ? 0.1 : 1.5));
  contest.Fill();
  Slots slots;
  // One round before the others does not count.
  for (int round = bench.quick ? 1 : 0; round <= (bench.quick ? 1 : kRounds); ++round) {
    std::fprintf(stderr, "bench: round %d\n", round);
    const auto keep = [&](const std::string& name, const Slot& slot) {
      if (round > 0) slots[name].push_back(slot);
    };
    keep("disk", contest.Disk());
    keep("append", contest.BareAppend());
    for (const size_t depth : kDepths) {
      keep(fmt::format("tracker {}", depth), contest.Tracker(Verb::kSet, depth));
      keep(fmt::format("etcd {}", depth), contest.Etcd(Verb::kSet, depth));
      keep(fmt::format("redis {}", depth), contest.Redis(Verb::kSet, depth));
    }
    keep("tracker get", contest.Tracker(Verb::kGet, 64));
    keep("etcd get", contest.Etcd(Verb::kGet, 64));
  }

  std::vector<double> yardstick;
  for (const Slot& slot : slots["disk"]) yardstick.push_back(slot.latency.p50);
  const bool noisy = Noisy(yardstick);
  const auto of = [&](const std::string& name, double Latency::*part = nullptr) {
    return OfSlots(slots.at(name), noisy, part);
  };
  for (const size_t depth : kDepths) {
    std::map<std::string, Timing> rivals = {{"etcd", of(fmt::format("etcd {}", depth))},
                                            {"redis, synced", of(fmt::format("redis {}", depth))}};
    if (depth == 1) rivals.insert({{"bare append", of("append")}, {"fdatasync", of("disk")}});
    bench.report.Add(fmt::format("tracker.set_{}", depth), fmt::format("SET of 256 B, {} in flight", depth),
                     of(fmt::format("tracker {}", depth)), std::move(rivals));
  }
  bench.report.Add("tracker.set_64_p99", "SET of 256 B, 64 in flight, p99", of("tracker 64", &Latency::p99),
                   {{"etcd", of("etcd 64", &Latency::p99)}, {"fdatasync", of("disk", &Latency::p99)}});
  bench.report.Add("tracker.get_64", "GET of 256 B, 64 in flight", of("tracker get"), {{"etcd", of("etcd get")}});

  std::vector<double> above;
  for (size_t i = 0; i < slots["append"].size(); ++i) {
    above.push_back(slots["tracker 1"][i].latency.p50 - slots["append"][i].latency.p50);
  }
  Timing overhead = OfRounds(above);
  overhead.noisy = noisy;
  bench.report.Add("tracker.set_1_above_append", "SET, 1 in flight, p50 above a bare append", overhead,
                   {{"bare append", of("append", &Latency::p50)}, {"whole SET", of("tracker 1", &Latency::p50)}});
}

}  // namespace larder::bench
