#include "src/measure.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace larder::bench {
namespace {

double MedianOf(std::vector<double> values) { return Percentile(std::move(values), 0.5); }

double Round(int count, const std::function<void()>& operation) {
  std::vector<double> samples(static_cast<size_t>(count));
  for (double& sample : samples) {
    const auto begin = std::chrono::steady_clock::now();
    operation();
    sample = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  return MedianOf(std::move(samples));
}

std::string Human(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  return fmt::format("{:.2f} ms", seconds * 1e3);
}

}  // namespace

void PinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

double Percentile(std::vector<double> samples, double part) {
  const auto at = static_cast<ptrdiff_t>(part * static_cast<double>(samples.size() - 1) + 0.5);
  std::nth_element(samples.begin(), samples.begin() + at, samples.end());
  return samples[static_cast<size_t>(at)];
}

std::vector<Timing> MeasureInTurn(int count, const std::vector<std::function<void()>>& operations) {
  std::vector<std::vector<double>> rounds(operations.size());
  for (int round = 0; round <= kRounds; ++round) {
    for (size_t i = 0; i < operations.size(); ++i) {
      const double median = Round(count, operations[i]);
      if (round > 0) rounds[i].push_back(median);  // the first one warms up
    }
  }
  std::vector<Timing> timings;
  for (const std::vector<double>& values : rounds) {
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    const double p50 = MedianOf(values);
    timings.push_back({.p50 = p50, .spread = (*most - *least) / p50});
  }
  return timings;
}

Timing Measure(int count, const std::function<void()>& operation) { return MeasureInTurn(count, {operation}).front(); }

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

void Report::Add(std::string id, std::string text, Timing timing, std::map<std::string, Timing> rivals) {
  rows_.push_back({std::move(id), std::move(text), timing, std::move(rivals)});
}

void Report::Print() const {
  fmt::print("{:<22} {:<34} {:>11} {:>7}   {}\n", "row", "what", "p50", "spread", "beside (x: times as fast)");
  for (const Row& row : rows_) {
    std::string beside;
    for (const auto& [name, timing] : row.rivals) {
      beside += fmt::format("  {} {} ({:.2f}x)", name, Human(timing.p50), timing.p50 / row.timing.p50);
    }
    fmt::print("{:<22} {:<34} {:>11} {:>6.0f}% {}\n", row.id, row.text, Human(row.timing.p50), row.timing.spread * 100,
               beside);
  }
}

bool Report::WriteJson(const std::string& path) const {
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : rows_) {
    nlohmann::json rivals = nlohmann::json::object();
    for (const auto& [name, timing] : row.rivals) {
      rivals[name] = {
          {"seconds", timing.p50}, {"spread", timing.spread}, {"times_as_fast", timing.p50 / row.timing.p50}};
    }
    rows.push_back({{"id", row.id},
                    {"text", row.text},
                    {"seconds", row.timing.p50},
                    {"spread", row.timing.spread},
                    {"rivals", rivals}});
  }
  std::ofstream file(path);
  file << rows.dump(2) << "\n";
  return file.good();
}

}  // namespace larder::bench
