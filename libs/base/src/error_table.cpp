#include "larder/base/error_table.h"

#include <array>

namespace larder::base {
namespace {

using absl::StatusCode;

// HTTP: the nearest standard meaning; 499 (client gone) is nginx's, 507 the contract's for no space and quota. RESP:
// Redis' own words where it has one. Exit codes and Python classes go together, one class per exit code.
constexpr std::array<ErrorRow, 17> kRows = {{
    {StatusCode::kOk, "OK", 200, 0, "OK", "", false},
    {StatusCode::kCancelled, "CANCELLED", 499, 10, "ERR", "Interrupted", false},
    {StatusCode::kUnknown, "UNKNOWN", 500, 1, "ERR", "Error", false},
    {StatusCode::kInvalidArgument, "INVALID_ARGUMENT", 400, 2, "ERR", "InvalidArgument", false},
    {StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED", 504, 8, "TIMEOUT", "DeadlineExceeded", true},
    {StatusCode::kNotFound, "NOT_FOUND", 404, 3, "ERR", "NotFound", false},
    {StatusCode::kAlreadyExists, "ALREADY_EXISTS", 409, 4, "BUSYKEY", "Conflict", false},
    {StatusCode::kPermissionDenied, "PERMISSION_DENIED", 403, 5, "NOPERM", "PermissionDenied", false},
    {StatusCode::kResourceExhausted, "RESOURCE_EXHAUSTED", 507, 6, "OOM", "ResourceExhausted", false},
    {StatusCode::kFailedPrecondition, "FAILED_PRECONDITION", 412, 4, "ERR", "Conflict", false},
    {StatusCode::kAborted, "ABORTED", 409, 4, "TRYAGAIN", "Conflict", true},
    {StatusCode::kOutOfRange, "OUT_OF_RANGE", 416, 2, "ERR", "InvalidArgument", false},
    {StatusCode::kUnimplemented, "UNIMPLEMENTED", 501, 1, "ERR", "Error", false},
    {StatusCode::kInternal, "INTERNAL", 500, 1, "ERR", "Error", false},
    {StatusCode::kUnavailable, "UNAVAILABLE", 503, 7, "CLUSTERDOWN", "Unavailable", true},
    {StatusCode::kDataLoss, "DATA_LOSS", 500, 9, "ERR", "DataLoss", false},
    {StatusCode::kUnauthenticated, "UNAUTHENTICATED", 401, 5, "NOAUTH", "PermissionDenied", false},
}};

}  // namespace

std::span<const ErrorRow> ErrorTable() { return kRows; }

const ErrorRow& ErrorRowOf(absl::StatusCode code) {
  const auto index = static_cast<size_t>(code);
  return index < kRows.size() ? kRows[index] : kRows[static_cast<size_t>(StatusCode::kUnknown)];
}

}  // namespace larder::base
