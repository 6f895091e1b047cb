#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace larder::bench {

inline constexpr int kServerCpu = 0;
inline constexpr int kClientCpu = 1;
inline constexpr int kRounds = 5;

// Keeps the calling thread, and what it starts, on one processor.
void PinTo(int cpu);

// Seconds of one operation: the median over kRounds of the rounds' medians, and how far the rounds were apart.
struct Timing {
  double p50 = 0;
  double spread = 0;  // (slowest - fastest round) / median
};

// Runs `operation` `count` times in each round, after one round that does not count.
Timing Measure(int count, const std::function<void()>& operation);
// The same for several, taking turns round by round, so that a disturbance meets all of them.
std::vector<Timing> MeasureInTurn(int count, const std::vector<std::function<void()>>& operations);
// Of samples in any order; `part` is 0.5, 0.99, …
double Percentile(std::vector<double> samples, double part);

// Adds up every byte, so that all of them are read.
uint64_t Sum(const void* bytes, uint64_t size);
// So that the compiler keeps what leads to `value`.
void Keep(uint64_t value);

// The table on stdout and the JSON file.
class Report {
 public:
  // `ratios`: how many times faster than that rival (above 1 is faster).
  void Add(std::string id, std::string text, Timing timing, std::map<std::string, Timing> rivals);
  void Print() const;
  // RESULT: false if the file could not be written.
  bool WriteJson(const std::string& path) const;

 private:
  struct Row {
    std::string id;
    std::string text;
    Timing timing;
    std::map<std::string, Timing> rivals;
  };
  std::vector<Row> rows_;
};

}  // namespace larder::bench
