#include "src/report.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace larder::bench {
namespace {

std::string Human(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  return fmt::format("{:.2f} ms", seconds * 1e3);
}

}  // namespace

void Report::Add(std::string id, std::string text, Timing timing, std::map<std::string, Timing> rivals) {
  for (const auto& [name, rival] : rivals) timing.noisy |= rival.noisy;
  rows_.push_back({std::move(id), std::move(text), timing, std::move(rivals)});
}

void Report::Print() const {
  fmt::print("{:<28} {:<36} {:>11} {:>7}   {}\n", "row", "what", "p50", "spread", "beside (x: times as fast)");
  for (const Row& row : rows_) {
    std::string beside;
    for (const auto& [name, rival] : row.rivals) {
      beside += fmt::format("  {} {} ({:.2f}x)", name, Human(rival.seconds), rival.seconds / row.timing.seconds);
    }
    fmt::print("{:<28} {:<36} {:>11} {:>6.0f}% {}{}\n", row.id, row.text, Human(row.timing.seconds),
               row.timing.spread * 100, beside, row.timing.noisy ? "  noisy" : "");
  }
}

bool Report::WriteJson(const std::string& path) const {
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : rows_) {
    nlohmann::json rivals = nlohmann::json::object();
    for (const auto& [name, rival] : row.rivals) {
      rivals[name] = {
          {"seconds", rival.seconds}, {"spread", rival.spread}, {"times_as_fast", rival.seconds / row.timing.seconds}};
    }
    rows.push_back({{"id", row.id},
                    {"text", row.text},
                    {"seconds", row.timing.seconds},
                    {"spread", row.timing.spread},
                    {"noisy", row.timing.noisy},
                    {"rivals", rivals}});
  }
  std::ofstream file(path);
  file << rows.dump(2) << "\n";
  return file.good();
}

}  // namespace larder::bench
