#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/rates.h"
#include "larder/agent/v1/agent.pb.h"

// What `larder top` shows. Pure.
namespace larder::cli {

struct TopView {
  agent::v1::StatusResponse status;  // the last answer
  std::optional<Rates> rates;
  std::string trouble;       // why there is no newer answer; empty if there is
  uint64_t age_seconds = 0;  // of the last answer
  std::string time;          // of day
  bool keys = false;         // somebody may press one
};

struct ScreenSize {
  size_t columns = 80;
  size_t rows = 24;
};
struct ScreenLine {
  enum class Style : uint8_t { kPlain, kTitle, kAlarm };
  std::string text;  // printable ASCII where the agent's names are
  Style style = Style::kPlain;
};
// No more lines than there are rows, none longer than there are columns; what matters least is left out first.
std::vector<ScreenLine> TopScreen(const TopView& view, const ScreenSize& size);

// "[====--~~....]": how `used`, then `other`, then `quarantined` fill `limit`, `width` characters in all (at least 3).
// What is there at all is seen.
std::string ArenaBar(const agent::v1::ArenaUse& arena, size_t width);

}  // namespace larder::cli
