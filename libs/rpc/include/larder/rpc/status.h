#pragma once
#include <absl/status/status.h>
#include <grpcpp/support/status.h>

namespace grpc {
class ClientContext;
class ServerContextBase;
}  // namespace grpc

namespace larder::rpc {

// The trailing metadata that carries an error's reason.
inline constexpr char kReasonKey[] = "larder-reason";

// The status for the wire; a reason goes into `context`'s trailing metadata, so call this before finishing the call.
// Any thread that may use the context.
grpc::Status ToGrpc(const absl::Status& status, grpc::ServerContextBase& context);

// What a finished call came to. Without a reason, an error is gRPC's own: UNAVAILABLE then means that nobody answered.
absl::Status FromGrpc(const grpc::Status& status, const grpc::ClientContext& context);

}  // namespace larder::rpc
