#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/format.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace larder::base {

// An error with a reason, a stable word (EPOCH_STALE) that programs match beside the code; people read the message.
absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message);

template <typename... Args>
absl::Status Error(absl::StatusCode code, std::string_view reason, fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(code, reason, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status InvalidArgument(std::string_view reason, fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(absl::StatusCode::kInvalidArgument, reason, fmt::format(format, std::forward<Args>(args)...));
}

// The reason of an error of ours; empty for OK and for errors of others (gRPC's own UNAVAILABLE has none).
std::string Reason(const absl::Status& status);
std::string Message(const absl::Status& status);

// What a failed system call becomes: ENOENT NOT_FOUND, EACCES and EPERM PERMISSION_DENIED, ENOSPC EDQUOT EMFILE ENFILE
// ENOMEM RESOURCE_EXHAUSTED, EEXIST ALREADY_EXISTS, ECONNREFUSED EPIPE ECONNRESET UNAVAILABLE, else INTERNAL. Reason:
// the errno's name.
absl::Status ErrnoError(int error, std::string_view what);

// The same error, sharing nothing with `status`: to be given to another thread. (Copies share a count that abseil's own
// library keeps, where the thread sanitizer does not see that it is atomic.)
absl::Status Detached(const absl::Status& status);

// The same error with `context: ` before its message; code and reason are kept.
absl::Status Annotate(const absl::Status& status, std::string_view context);

}  // namespace larder::base

#define LARDER_RETURN_IF_ERROR(expr)                                                    \
  do {                                                                                  \
    if (absl::Status larder_status = (expr); !larder_status.ok()) return larder_status; \
  } while (false)
#define LARDER_CONCAT_INNER(a, b) a##b
#define LARDER_CONCAT(a, b) LARDER_CONCAT_INNER(a, b)
#define LARDER_ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                                 \
  if (!result.ok()) return std::move(result).status();  \
  lhs = *std::move(result)
#define LARDER_ASSIGN_OR_RETURN(lhs, expr) \
  LARDER_ASSIGN_OR_RETURN_IMPL(LARDER_CONCAT(larder_result_, __LINE__), lhs, expr)
