#pragma once
#include <absl/status/status.h>

#include <span>
#include <string_view>

namespace larder::base {

// One row per status code: what it is on each wire and to each kind of caller. gRPC uses the code's own number.
struct ErrorRow {
  absl::StatusCode code;
  std::string_view name;          // "NOT_FOUND", as JSON errors and metrics show it
  int http;                       // HTTP status
  int exit_code;                  // of the CLI: contract of `larder --help`
  std::string_view resp_prefix;   // first word of a Redis error reply
  std::string_view python_class;  // of the Python SDK
  bool retryable;                 // a repeat may succeed without anybody changing anything
};

// All rows, OK first, in the order of the codes' numbers.
std::span<const ErrorRow> ErrorTable();
// The row of a code; UNKNOWN's for a code without one.
const ErrorRow& ErrorRowOf(absl::StatusCode code);

}  // namespace larder::base
