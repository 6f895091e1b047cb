#include "larder/rpc/status.h"

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <string_view>

#include "larder/base/status.h"

namespace larder::rpc {

grpc::Status ToGrpc(const absl::Status& status, grpc::ServerContextBase& context) {
  if (status.ok()) return grpc::Status::OK;
  if (const std::string reason = base::Reason(status); !reason.empty()) context.AddTrailingMetadata(kReasonKey, reason);
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()), base::Message(status));
}

absl::Status FromGrpc(const grpc::Status& status, const grpc::ClientContext& context) {
  if (status.ok()) return absl::OkStatus();
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto reason = trailers.find(kReasonKey);
  return base::MakeError(
      static_cast<absl::StatusCode>(status.error_code()),
      reason == trailers.end() ? std::string_view() : std::string_view(reason->second.data(), reason->second.size()),
      status.error_message());
}

}  // namespace larder::rpc
