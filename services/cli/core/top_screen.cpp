#include "core/top_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/failure.h"
#include "core/object_view.h"
#include "core/output.h"
#include "larder/base/units.h"

namespace larder::cli {
namespace {

namespace pb = larder::agent::v1;
using base::FormatBytes;
using Style = ScreenLine::Style;

constexpr size_t kWidestBar = 72;

uint64_t Percent(uint64_t part, uint64_t whole) { return whole == 0 ? 0 : 100 * part / whole; }

// "-" where nothing is known yet.
std::string PerSecond(const std::optional<Rates>& rates, double Rates::*rate) {
  if (!rates) return "-";
  const double value = (*rates).*rate;
  return value == 0 || value >= 10 ? fmt::format("{:.0f}/s", value) : fmt::format("{:.1f}/s", value);
}

std::string BytesPerSecond(const std::optional<Rates>& rates, double Rates::*rate) {
  return rates ? FormatBytes(static_cast<uint64_t>((*rates).*rate)) + "/s" : "-";
}

std::string HitRatio(const std::optional<Rates>& rates) {
  return rates && rates->hit_ratio ? fmt::format("{:.1f} %", 100 * *rates->hit_ratio) : "-";
}

std::string Limit(uint64_t limit) { return limit == UINT64_MAX ? "no limit" : fmt::to_string(limit); }

ScreenLine Title(const TopView& view, size_t columns) {
  const pb::StatusResponse& status = view.status;
  const std::string left =
      fmt::format("{}  agent {}, up {}, store {}, namespace {}", Printable(status.node()), Printable(status.version()),
                  ShortDuration(std::chrono::milliseconds(status.uptime_ms())), Printable(status.store()),
                  Printable(status.namespace_()));
  const std::string right = view.time + (view.keys ? "  q: quit" : "");
  const size_t used = left.size() + 2 + right.size();
  return {.text = left + std::string(used < columns ? columns - used + 2 : 2, ' ') + right, .style = Style::kTitle};
}

// Memory and disk.
void AddRoom(const pb::StatusResponse& status, size_t columns, std::vector<ScreenLine>& lines) {
  const pb::ArenaUse& arena = status.arena();
  const std::string text =
      fmt::format("{} % of {}", Percent(arena.limit_bytes() - arena.free_bytes(), arena.limit_bytes()),
                  FormatBytes(arena.limit_bytes()));
  const size_t around = std::string_view("arena      ").size() + text.size();
  const size_t bar = columns > around ? std::min(columns - around, kWidestBar) : 0;
  lines.push_back({.text = fmt::format("arena    {}  {}", ArenaBar(arena, bar), text)});
  lines.push_back(
      {.text = fmt::format("         = held {}   - slack {}   ~ quarantine {}   . free {}",
                           FormatBytes(arena.allocated_bytes()),
                           FormatBytes(arena.live_bytes() - std::min(arena.allocated_bytes(), arena.live_bytes())),
                           FormatBytes(arena.quarantined_bytes()), FormatBytes(arena.free_bytes()))});
  if (!status.has_disk()) return;
  const pb::DiskUse& disk = status.disk();
  const std::string limit = disk.limit_bytes() == 0 ? "" : " of " + FormatBytes(disk.limit_bytes());
  lines.push_back({.text = fmt::format("disk     objects {}{}, {} free of {} at {}", FormatBytes(disk.used_bytes()),
                                       limit, FormatBytes(disk.free_bytes()), FormatBytes(disk.total_bytes()),
                                       Printable(disk.data_dir()))});
}

void AddRates(const std::optional<Rates>& rates, std::vector<ScreenLine>& lines) {
  const auto row = [&](std::string_view a, const std::string& x, std::string_view b, const std::string& y,
                       std::string_view c, const std::string& z) {
    lines.push_back({.text = fmt::format("{:9}{:<13}{:10}{:<13}{:9}{}", a, x, b, y, c, z)});
  };
  row("gets", PerSecond(rates, &Rates::gets), "hits", HitRatio(rates), "out", BytesPerSecond(rates, &Rates::bytes_out));
  row("puts", PerSecond(rates, &Rates::puts), "deletes", PerSecond(rates, &Rates::deletes), "in",
      BytesPerSecond(rates, &Rates::bytes_in));
  row("evicted", PerSecond(rates, &Rates::evicted), "reclaimed", PerSecond(rates, &Rates::reclaimed), "failed",
      PerSecond(rates, &Rates::failed));
}

void AddHeld(const pb::StatusResponse& status, std::vector<ScreenLine>& lines) {
  const pb::StatusCounters& counters = status.counters();
  lines.push_back(
      {.text = fmt::format("now      objects {} ({}), creating {}, read leases {}", status.objects(),
                           FormatBytes(status.object_bytes()), status.create_leases(), status.read_leases())});
  lines.push_back(
      {.text = fmt::format("         connections {}, sessions {}, open files {} of {}", status.connections(),
                           status.sessions(), status.open_files().used(), Limit(status.open_files().limit()))});
  lines.push_back(
      {.text = fmt::format("so far   evicted {}, damaged {}, leases reclaimed {}, connections denied {}",
                           counters.evicted_room() + counters.evicted_quota(), counters.damaged(),
                           counters.leases_closed() + counters.leases_lapsed(), counters.connections_denied())});
}

// The largest first, in at most `rows` lines.
void AddNamespaces(const pb::StatusResponse& status, size_t rows, std::vector<ScreenLine>& lines) {
  if (rows < 2) return;
  const std::vector<Column> columns = {{"NAMESPACE", 24}, {"OBJECTS", 10, true}, {"BYTES", 10, true}, {"QUOTA", 0}};
  std::vector<const pb::NamespaceUse*> uses;
  for (const pb::NamespaceUse& use : status.namespaces()) uses.push_back(&use);
  std::stable_sort(uses.begin(), uses.end(), [](const auto* a, const auto* b) { return a->bytes() > b->bytes(); });
  lines.push_back({.text = TableHead(columns), .style = Style::kTitle});
  const size_t shown = uses.size() < rows ? uses.size() : rows - 2;
  for (size_t i = 0; i < shown; ++i) {
    const pb::NamespaceUse& use = *uses[i];
    const std::string quota =
        use.limit_bytes() == 0
            ? "-"
            : fmt::format("{} % of {}", Percent(use.bytes(), use.limit_bytes()), FormatBytes(use.limit_bytes()));
    lines.push_back({.text = TableRow(columns, {Printable(use.namespace_()), fmt::to_string(use.objects()),
                                                FormatBytes(use.bytes()), quota})});
  }
  if (shown < uses.size()) lines.push_back({.text = fmt::format("{} more", uses.size() - shown)});
}

// By code points, as names may hold more than ASCII.
void Cut(std::string& text, size_t columns) {
  size_t at = 0;
  for (size_t shown = 0; at < text.size(); ++at) {
    const bool begins = (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
    if (begins && shown++ == columns) break;
  }
  text.resize(at);
}

}  // namespace

std::string ArenaBar(const pb::ArenaUse& arena, size_t width) {
  const size_t inside = std::max<size_t>(width, 3) - 2;
  const uint64_t held = std::min(arena.allocated_bytes(), arena.live_bytes());
  const std::array<std::pair<uint64_t, char>, 3> parts = {
      {{held, '='}, {arena.live_bytes() - held, '-'}, {arena.quarantined_bytes(), '~'}}};
  std::string bar;
  for (const auto& [bytes, mark] : parts) {
    if (bytes == 0 || arena.limit_bytes() == 0) continue;
    const double share = static_cast<double>(bytes) / static_cast<double>(arena.limit_bytes());
    const auto marks = static_cast<size_t>(share * static_cast<double>(inside) + 0.5);
    bar.append(std::max<size_t>(marks, 1), mark);
  }
  bar.resize(inside, '.');
  return "[" + bar + "]";
}

std::vector<ScreenLine> TopScreen(const TopView& view, const ScreenSize& size) {
  std::vector<ScreenLine> lines = {Title(view, size.columns)};
  if (!view.trouble.empty()) {
    lines.push_back({.text = fmt::format("last answer {} s ago: {}", view.age_seconds, Printable(view.trouble)),
                     .style = Style::kAlarm});
  }
  AddRoom(view.status, size.columns, lines);
  AddRates(view.rates, lines);
  AddHeld(view.status, lines);
  if (lines.size() + 1 < size.rows) {
    lines.emplace_back();
    AddNamespaces(view.status, size.rows - lines.size(), lines);
  }
  lines.resize(std::min(lines.size(), size.rows));
  for (ScreenLine& line : lines) Cut(line.text, size.columns);
  return lines;
}

}  // namespace larder::cli
