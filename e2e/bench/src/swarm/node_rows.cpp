#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "larder/client/client.h"
#include "src/must.h"
#include "src/scratch_dir.h"
#include "src/server.h"
#include "src/swarm/rows.h"

namespace larder::bench {
namespace {

constexpr size_t kAgents = 3;
constexpr size_t kReaders = 500;
constexpr size_t kSize = 4096;

// `larder dev` with three agents, and a client of each.
class Nodes {
 public:
  explicit Nodes(const std::string& dir)
      : server_({ProgramPath("larder"), "dev", "--agents", std::to_string(kAgents), "--dir", dir + "/dev",
                 "--ready-file", dir + "/ready"},
                kAnyCpu, [&] { return std::filesystem::exists(dir + "/ready"); }) {
    for (size_t i = 0; i < kAgents; ++i) {
      clients_.push_back(Must(client::Client::Connect(fmt::format("uds://{}/dev/node-{}/sockets", dir, i))));
    }
  }
  client::Client& Of(size_t agent) { return *clients_[agent % kAgents]; }

 private:
  Server server_;
  std::vector<std::unique_ptr<client::Client>> clients_;
};

struct Round {
  double seconds = 0;  // of all of them
  std::vector<double> each;
};

// Each reader reads an object of its own, which another node has and nobody has read.
Round ReadAll(Nodes& nodes, int round) {
  const auto key = [round](size_t reader) { return fmt::format("{}/{}", round, reader); };
  const std::string bytes(kSize, 'x');
  for (size_t i = 0; i < kReaders; ++i) Must(nodes.Of(i).Put({.key = key(i)}, std::as_bytes(std::span(bytes))));
  Round result{.each = std::vector<double>(kReaders)};
  std::latch ready(kReaders + 1);
  std::vector<std::jthread> readers;
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point begun) {
    return std::chrono::duration<double>(Clock::now() - begun).count();
  };
  for (size_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&, i] {
      ready.arrive_and_wait();
      const auto begun = Clock::now();
      if (Must(nodes.Of(i + 1).Get(key(i)))->info().size != kSize) Die("an object of another size");
      result.each[i] = since(begun);
    });
  }
  ready.arrive_and_wait();
  const auto begun = Clock::now();
  readers.clear();
  result.seconds = since(begun);
  return result;
}

}  // namespace

void AddNodeRows(Report& report) {
  const ScratchDir dir("/tmp/larder-bench.XXXXXX");
  Nodes nodes(dir.path());
  std::vector<double> rates, p50, p99;
  ReadAll(nodes, 0);
  for (int round = 1; round <= kRounds; ++round) {
    const Round one = ReadAll(nodes, round);
    rates.push_back(one.seconds / kReaders);
    p50.push_back(Percentile(one.each, 0.5));
    p99.push_back(Percentile(one.each, 0.99));
  }
  Timing timing = OfRounds(rates);
  timing.latency = Latency{.p50 = OfRounds(p50).seconds, .p99 = OfRounds(p99).seconds};
  report.Add("swarm.small_readers", "500 readers at once over 3 agents, 4 KiB each of another node", timing, {});
}

}  // namespace larder::bench
