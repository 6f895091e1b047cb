#include "core/progress.h"

#include <fmt/format.h>

#include <utility>

#include "core/failure.h"
#include "core/object_view.h"
#include "larder/base/units.h"

namespace larder::cli {
namespace {

constexpr base::Duration kRedraw = std::chrono::milliseconds(200);
constexpr std::string_view kWipe = "\r\033[K";

}  // namespace

std::string ProgressText(uint64_t done, std::optional<uint64_t> total, base::Duration elapsed) {
  const double seconds = std::chrono::duration<double>(elapsed).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const std::string per_second = base::FormatBytes(static_cast<uint64_t>(rate)) + "/s";
  if (!total) return fmt::format("{}, {}", base::FormatBytes(done), per_second);
  const uint64_t percent = *total == 0 ? 100 : static_cast<uint64_t>(100.0 * static_cast<double>(done) / *total);
  std::string text =
      fmt::format("{} of {} ({} %), {}", base::FormatBytes(done), base::FormatBytes(*total), percent, per_second);
  if (rate > 0 && done < *total) {
    const std::chrono::duration<double> left(static_cast<double>(*total - done) / rate);
    text += fmt::format(", {} left", ShortDuration(std::chrono::duration_cast<base::Duration>(left)));
  }
  return text;
}

Progress::Progress(bool shown, std::string what, std::optional<uint64_t> total)
    : shown_(shown), what_(Printable(what)), total_(total), begin_(clock_.Now()), drawn_(begin_) {}

Progress::~Progress() {
  if (visible_) Tell(kWipe);
}

void Progress::Advance(uint64_t bytes) {
  done_ += bytes;
  if (!shown_) return;
  const base::MonotonicTime now = clock_.Now();
  if (now - drawn_ < kRedraw) return;
  drawn_ = now;
  visible_ = true;
  Tell(fmt::format("{}{}: {}", kWipe, what_, ProgressText(done_, total_, now - begin_)));
}

}  // namespace larder::cli
