#include "src/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

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

std::string Human(const Amount& amount) { return fmt::format("{:.2f} {}", amount.value, amount.unit); }

nlohmann::json ToJson(const Amount& amount) {
  return {{"amount", amount.value}, {"unit", amount.unit}, {"spread", amount.spread}};
}

// How many times as fast as the row's; none of what is no time.
std::optional<double> TimesAsFast(const std::variant<Timing, Amount>& row, const std::variant<Timing, Amount>& rival) {
  const Timing* ours = std::get_if<Timing>(&row);
  const Timing* theirs = std::get_if<Timing>(&rival);
  if (ours == nullptr || theirs == nullptr) return std::nullopt;
  return theirs->seconds / ours->seconds;
}

bool IsNoisy(const std::variant<Timing, Amount>& figure) {
  const Timing* timing = std::get_if<Timing>(&figure);
  return timing != nullptr && timing->noisy;
}

}  // namespace

void Report::Add(std::string id, std::string text, Timing timing, std::map<std::string, Timing> rivals) {
  for (const auto& [name, rival] : rivals) timing.noisy |= rival.noisy;
  rows_.push_back({std::move(id), std::move(text), timing, {rivals.begin(), rivals.end()}});
}

void Report::AddAmount(std::string id, std::string text, Amount amount, std::map<std::string, Amount> rivals) {
  rows_.push_back({std::move(id), std::move(text), std::move(amount), {rivals.begin(), rivals.end()}});
}

void Report::Print() const {
  const auto human = [](const auto& figure) { return std::visit([](const auto& it) { return Human(it); }, figure); };
  size_t width = 11;
  for (const Row& row : rows_) width = std::max(width, human(row.figure).size());
  fmt::print("{:<28} {:<42} {:>{}} {:>7}   {}\n", "row", "what", "p50", width, "spread", "beside (x: times as fast)");
  for (const Row& row : rows_) {
    std::string beside;
    for (const auto& [name, rival] : row.rivals) {
      beside += fmt::format("  {} {}", name, human(rival));
      if (const auto times = TimesAsFast(row.figure, rival)) beside += fmt::format(" ({:.2f}x)", *times);
    }
    const double spread = std::visit([](const auto& figure) { return figure.spread; }, row.figure);
    fmt::print("{:<28} {:<42} {:>{}} {:>6.0f}% {}{}\n", row.id, row.text, human(row.figure), width, spread * 100,
               beside, IsNoisy(row.figure) ? "  noisy" : "");
  }
}

bool Report::WriteJson(const std::string& path) const {
  const auto to_json = [](const auto& figure) { return std::visit([](const auto& it) { return ToJson(it); }, figure); };
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : rows_) {
    nlohmann::json rivals = nlohmann::json::object();
    for (const auto& [name, rival] : row.rivals) {
      rivals[name] = to_json(rival);
      if (const auto times = TimesAsFast(row.figure, rival)) rivals[name]["times_as_fast"] = *times;
    }
    nlohmann::json json = to_json(row.figure);
    json.update({{"id", row.id}, {"text", row.text}, {"noisy", IsNoisy(row.figure)}, {"rivals", rivals}});
    rows.push_back(std::move(json));
  }
  std::ofstream file(path);
  file << rows.dump(2) << "\n";
  return file.good();
}

}  // namespace larder::bench
