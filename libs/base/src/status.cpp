#include "larder/base/status.h"

#include <absl/strings/cord.h>
#include <absl/strings/string_view.h>
#include <string.h>

namespace larder::base {
namespace {

constexpr char kReasonPayload[] = "larder/reason";

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

absl::StatusCode CodeOfErrno(int error) {
  switch (error) {
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EACCES:
    case EPERM:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case ECONNREFUSED:
    case EPIPE:
    case ECONNRESET:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message) {
  absl::Status status(code, ToAbsl(message));
  if (!reason.empty()) status.SetPayload(kReasonPayload, absl::Cord(ToAbsl(reason)));
  return status;
}

std::string Reason(const absl::Status& status) {
  const auto reason = status.GetPayload(kReasonPayload);
  return reason ? std::string(*reason) : std::string();
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

absl::Status ErrnoError(int error, std::string_view what) {
  const char* name = ::strerrorname_np(error);
  const char* description = ::strerrordesc_np(error);
  return Error(CodeOfErrno(error), name == nullptr ? "EUNKNOWN" : name, "{}: {}", what,
               description == nullptr ? fmt::format("errno {}", error) : description);
}

absl::Status Detached(const absl::Status& status) {
  return status.ok() ? status : MakeError(status.code(), Reason(status), Message(status));
}

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), fmt::format("{}: {}", context, Message(status)));
  status.ForEachPayload(
      [&](absl::string_view type, const absl::Cord& payload) { annotated.SetPayload(type, payload); });
  return annotated;
}

}  // namespace larder::base
