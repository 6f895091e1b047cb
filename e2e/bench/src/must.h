#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <utility>

#include "larder/base/status.h"

namespace larder::bench {

// Ends the benchmark: an exception that main reports, so that servers end and files go.
[[noreturn]] void Die(const std::string& why);

// What succeeds or ends the benchmark.
void Must(const absl::Status& status);
template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) Die(base::Message(result.status()));
  return *std::move(result);
}

// A benchmark's main: `run`, and what Die said on stderr, with exit code 1.
int RunMain(int (*run)(int argc, char** argv), int argc, char** argv);

}  // namespace larder::bench
