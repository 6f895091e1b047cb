#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "larder/base/clock.h"

namespace larder::cli {

// "12 MiB of 40 MiB (30 %), 8.00 MiB/s, 4 s left"; without a total, bytes and rate alone. Pure.
std::string ProgressText(uint64_t done, std::optional<uint64_t> total, base::Duration elapsed);

// Bytes, rate and time left on stderr, in one line that is redrawn a few times a second and wiped at the end. Not
// thread-safe.
class Progress {
 public:
  // Silent unless `shown`. `total` unknown for a pipe.
  Progress(bool shown, std::string what, std::optional<uint64_t> total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void Advance(uint64_t bytes);

 private:
  const bool shown_;
  const std::string what_;
  const std::optional<uint64_t> total_;
  const base::SystemClock clock_;
  const base::MonotonicTime begin_;
  base::MonotonicTime drawn_;
  uint64_t done_ = 0;
  bool visible_ = false;
};

}  // namespace larder::cli
