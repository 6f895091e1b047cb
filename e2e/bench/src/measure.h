#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/ping_pong.h"

namespace larder::bench {

inline constexpr int kServerCpu = 0;
inline constexpr int kClientCpu = 1;
inline constexpr int kRounds = 5;
// The bare ping-pong may move by so much from one round to another; beyond it the machine was doing something else.
inline constexpr double kQuiet = 1.5;

// Keeps the calling thread, and what it starts, on one processor; or lets it run on all again.
void PinTo(int cpu);
void Unpin();

// What is timed, and what is made ready for it beforehand.
struct Operation {
  std::function<void()> run;
  std::function<void()> before = [] {};
};

// How long each of many operations took that were under way at the same time.
struct Latency {
  double p50 = 0;
  double p99 = 0;
};

// Seconds of one operation: the median over kRounds of the rounds' figures, and how far the rounds were apart.
struct Timing {
  double seconds = 0;  // of a rate: from the end of one operation to the next one's, 1 / operations per second
  double spread = 0;   // (slowest - fastest round) / median
  bool noisy = false;  // the ping-pong, or the suite's own yardstick, moved by more than kQuiet meanwhile
  std::optional<Latency> latency = std::nullopt;  // of a rate
};

// Of what is no time: the median of the rounds' figures, and how far they were apart.
struct Amount {
  double value = 0;
  std::string unit;
  double spread = 0;  // as a Timing's
};

// What a round's figure is: of its samples, the median, or, where the slow ones are the point, the mean.
enum class Of { kMedian, kMean };

// Of samples in any order; `part` is 0.5, 0.99, …
double Percentile(std::vector<double> samples, double part);

// The median of the rounds' figures, and how far they were apart.
Timing OfRounds(const std::vector<double>& figures);
// Whether a yardstick, which knows nothing of what is measured, moved by more than kQuiet.
bool Noisy(const std::vector<double>& yardstick);

// Measures operations beside a ping-pong of its own. Not thread-safe.
class Stopwatch {
 public:
  // The operations take turns round by round, so that a disturbance meets all of them; each runs `count` times in a
  // round. One round before the others does not count.
  std::vector<Timing> InTurn(int count, const std::vector<Operation>& operations, Of of = Of::kMedian);
  // The same in seconds of processor time, of this process and of the server that each operation names beside it.
  struct Served {
    pid_t server;
    std::function<void()> run;
  };
  std::vector<Timing> CpuInTurn(int count, const std::vector<Served>& operations);
  void Exchange(uint64_t size) { ping_pong_.Exchange(size); }

 private:
  // Runs `round(i)`, which gives the round's figure of operation i.
  std::vector<Timing> Rounds(size_t operations, const std::function<double(size_t)>& round);
  PingPong ping_pong_;
};

// Adds up every byte, so that all of them are read.
uint64_t Sum(const void* bytes, uint64_t size);
// So that the compiler keeps what leads to `value`.
void Keep(uint64_t value);

}  // namespace larder::bench
