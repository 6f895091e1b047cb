#include "src/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

namespace larder::bench {
namespace {

std::string Human(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  return fmt::format("{:.2f} ms", seconds * 1e3);
}

std::string Human(const Timing& timing) {
  if (!timing.latency) return Human(timing.seconds);
  return fmt::format("{:.0f}/s (p50 {}, p99 {})", 1 / timing.seconds, Human(timing.latency->p50),
                     Human(timing.latency->p99));
}

nlohmann::json ToJson(const Timing& timing) {
  nlohmann::json json = {{"seconds", timing.seconds}, {"spread", timing.spread}};
  if (timing.latency) {
    json["per_second"] = 1 / timing.seconds;
    json["p50"] = timing.latency->p50;
    json["p99"] = timing.latency->p99;
  }
  return json;
}

}  // namespace

void Report::Add(std::string id, std::string text, Timing timing, std::map<std::string, Timing> rivals) {
  for (const auto& [name, rival] : rivals) timing.noisy |= rival.noisy;
  rows_.push_back({std::move(id), std::move(text), timing, std::move(rivals)});
}

void Report::Print() const {
  size_t width = 11;
  for (const Row& row : rows_) width = std::max(width, Human(row.timing).size());
  fmt::print("{:<28} {:<42} {:>{}} {:>7}   {}\n", "row", "what", "p50", width, "spread", "beside (x: times as fast)");
  for (const Row& row : rows_) {
    std::string beside;
    for (const auto& [name, rival] : row.rivals) {
      beside += fmt::format("  {} {} ({:.2f}x)", name, Human(rival), rival.seconds / row.timing.seconds);
    }
    fmt::print("{:<28} {:<42} {:>{}} {:>6.0f}% {}{}\n", row.id, row.text, Human(row.timing), width,
               row.timing.spread * 100, beside, row.timing.noisy ? "  noisy" : "");
  }
}

bool Report::WriteJson(const std::string& path) const {
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : rows_) {
    nlohmann::json rivals = nlohmann::json::object();
    for (const auto& [name, rival] : row.rivals) {
      rivals[name] = ToJson(rival);
      rivals[name]["times_as_fast"] = rival.seconds / row.timing.seconds;
    }
    nlohmann::json json = ToJson(row.timing);
    json.update({{"id", row.id}, {"text", row.text}, {"noisy", row.timing.noisy}, {"rivals", rivals}});
    rows.push_back(std::move(json));
  }
  std::ofstream file(path);
  file << rows.dump(2) << "\n";
  return file.good();
}

}  // namespace larder::bench
