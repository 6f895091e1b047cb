#include "src/measure.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <numeric>

#include "src/server.h"

namespace larder::bench {
namespace {

double Elapsed(const std::function<void()>& run) {
  const auto begin = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Of all threads, by the scheduler's own nanoseconds.
double CpuSecondsOf(pid_t process) {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &used) != 0) Die("a server has ended");
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

}  // namespace

void PinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

void Unpin() {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

double Percentile(std::vector<double> samples, double part) {
  const auto at = static_cast<ptrdiff_t>(part * static_cast<double>(samples.size() - 1) + 0.5);
  std::nth_element(samples.begin(), samples.begin() + at, samples.end());
  return samples[static_cast<size_t>(at)];
}

Timing OfRounds(const std::vector<double>& figures) {
  const auto [least, most] = std::minmax_element(figures.begin(), figures.end());
  const double median = Percentile(figures, 0.5);
  return {.seconds = median, .spread = (*most - *least) / median};
}

bool Noisy(const std::vector<double>& yardstick) {
  const auto [best, worst] = std::minmax_element(yardstick.begin(), yardstick.end());
  return *worst > *best * kQuiet;
}

std::vector<Timing> Stopwatch::Rounds(size_t operations, const std::function<double(size_t)>& round) {
  constexpr int kExchanges = 200;
  std::vector<std::vector<double>> figures(operations);
  std::vector<double> ping_pongs;
  for (int number = 0; number <= kRounds; ++number) {
    std::vector<double> exchanges(kExchanges);
    for (double& sample : exchanges) sample = Elapsed([&] { Exchange(64); });
    if (number > 0) ping_pongs.push_back(Percentile(std::move(exchanges), 0.5));
    for (size_t i = 0; i < operations; ++i) {
      const double figure = round(i);
      if (number > 0) figures[i].push_back(figure);
    }
  }
  std::vector<Timing> timings;
  for (const std::vector<double>& values : figures) {
    timings.push_back(OfRounds(values));
    timings.back().noisy = Noisy(ping_pongs);
  }
  return timings;
}

std::vector<Timing> Stopwatch::InTurn(int count, const std::vector<Operation>& operations, Of of) {
  return Rounds(operations.size(), [&](size_t i) {
    std::vector<double> samples(static_cast<size_t>(count));
    for (double& sample : samples) {
      operations[i].before();
      sample = Elapsed(operations[i].run);
    }
    return of == Of::kMedian ? Percentile(std::move(samples), 0.5)
                             : std::accumulate(samples.begin(), samples.end(), 0.0) / count;
  });
}

std::vector<Timing> Stopwatch::CpuInTurn(int count, const std::vector<Served>& operations) {
  return Rounds(operations.size(), [&](size_t i) {
    const auto used = [&] { return CpuSecondsOf(::getpid()) + CpuSecondsOf(operations[i].server); };
    const double before = used();
    for (int n = 0; n < count; ++n) operations[i].run();
    return (used() - before) / count;
  });
}

uint64_t Sum(const void* bytes, uint64_t size) {
  // Four accumulators, so that memory and not one chain of additions is the limit.
  const auto* words = static_cast<const uint64_t*>(bytes);
  uint64_t sum[4] = {};
  uint64_t i = 0;
  for (const uint64_t count = size / 8; i + 4 <= count; i += 4) {
    for (uint64_t k = 0; k < 4; ++k) sum[k] += words[i + k];
  }
  return sum[0] + sum[1] + sum[2] + sum[3];
}

void Keep(uint64_t value) { asm volatile("" : : "r"(value) : "memory"); }

}  // namespace larder::bench
