// An object that many nodes fetch at once, from its author and each other, beside as many that know of complete copies
// only, and so all fetch from the author.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <latch>
#include <thread>

#include "src/measure.h"
#include "src/scratch_dir.h"
#include "src/swarm/cluster.h"
#include "src/swarm/rows.h"

namespace larder::bench {
namespace {

constexpr uint64_t kSize = 64ull << 20;
constexpr uint64_t kPieces = 64;
constexpr uint64_t kUplink = 64ull << 20;  // bytes a second that each node gives
constexpr size_t kMostChildren = 7;
constexpr int kJoinRounds = 3;

struct Round {
  double seconds = 0;  // from the release of all reads to the end of the last
  double sent = 0;     // by the author, as a multiple of the object's size
};

// Children 1 to `children` read a new object of agent 0's.
Round ReadBy(Cluster& cluster, size_t children, const std::string& bytes) {
  Must(cluster.Of(0).Put({.key = "object"}, std::as_bytes(std::span(bytes))));
  const double before = cluster.Sent(0);
  std::vector<std::jthread> readers;
  std::latch ready(static_cast<ptrdiff_t>(children) + 1);
  for (size_t child = 1; child <= children; ++child) {
    readers.emplace_back([&, child] {
      ready.arrive_and_wait();
      if (Must(cluster.Of(child).Get("object"))->info().size != kSize) Die("an object of another size");
    });
  }
  ready.arrive_and_wait();
  const auto begun = std::chrono::steady_clock::now();
  readers.clear();
  Round round{.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count()};
  round.sent = (cluster.Sent(0) - before) / kSize;
  cluster.Delete("object");
  return round;
}

struct Rounds {
  std::vector<double> seconds, sent;
  void Add(const Round& round) {
    seconds.push_back(round.seconds);
    sent.push_back(round.sent);
  }
  Amount Sent() const {
    const Timing median = OfRounds(sent);
    return {.value = median.seconds, .unit = "x its size", .spread = median.spread};
  }
};

// The least that `children` can take of which each gives as much as one takes `alone`: T* of docs.
Timing Bound(Timing alone, size_t children) {
  const auto doublings = static_cast<double>(std::bit_width(children) - 1);
  alone.seconds *= 1 + doublings / kPieces;
  return alone;
}

}  // namespace

void AddJoinRows(Report& report) {
  const ScratchDir dir("/tmp/larder-bench.XXXXXX");
  const std::vector<std::string> flags = {"--arena=160MiB", fmt::format("--pieces-rate-out={}", kUplink)};
  Cluster swarm({.dir = dir.path() + "/swarm", .agents = kMostChildren + 1, .flags = flags});
  Cluster star({.dir = dir.path() + "/star", .agents = kMostChildren + 1, .peer_manager = false, .flags = flags});
  const std::string bytes(kSize, 'x');
  Rounds alone, swarm_of[kMostChildren + 1], star_of[kMostChildren + 1];
  ReadBy(swarm, kMostChildren, bytes);
  for (int round = 0; round < kJoinRounds; ++round) {
    alone.Add(ReadBy(star, 1, bytes));
    for (const size_t children : {size_t{3}, kMostChildren}) {
      swarm_of[children].Add(ReadBy(swarm, children, bytes));
      star_of[children].Add(ReadBy(star, children, bytes));
    }
  }
  for (const size_t children : {size_t{3}, kMostChildren}) {
    const std::string id = fmt::format("swarm.join_{}", children);
    const std::string what = fmt::format("{} nodes fetch 64 MiB at once", children);
    report.Add(
        id, what, OfRounds(swarm_of[children].seconds),
        {{"without Join", OfRounds(star_of[children].seconds)}, {"T*", Bound(OfRounds(alone.seconds), children)}});
    report.AddAmount(id + "_sent", what + ": the author sent", swarm_of[children].Sent(),
                     {{"without Join", star_of[children].Sent()}});
  }
}

}  // namespace larder::bench
