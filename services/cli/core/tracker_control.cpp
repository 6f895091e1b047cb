#include "core/tracker_control.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <future>
#include <utility>

#include "larder/base/status.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/status.h"
#include "larder/tracker/v1/tracker.grpc.pb.h"

namespace larder::cli {

namespace pb = larder::tracker::v1;

namespace {

// gRPC's own errors have no reason, and speak of sockets.
absl::Status Explained(const absl::Status& status) {
  if (!base::Reason(status).empty()) return status;
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return base::Error(status.code(), "NO_TRACKER", "nothing answers there");
    case absl::StatusCode::kDeadlineExceeded:
      return base::Error(absl::StatusCode::kUnavailable, "NO_ANSWER", "no answer in time");
    case absl::StatusCode::kUnimplemented:
      return base::Error(status.code(), "OLD_TRACKER", "no tracker, or one that is too old");
    default:
      return status;
  }
}

absl::StatusOr<pb::StatusResponse> Ask(const std::string& address, base::Duration patience) {
  const auto stub = pb::Tracker::NewStub(rpc::Dial(address));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::duration_cast<std::chrono::system_clock::duration>(patience));
  pb::StatusResponse response;
  const absl::Status status = rpc::FromGrpc(stub->Status(&context, pb::StatusRequest(), &response), context);
  if (!status.ok()) return Explained(status);
  return response;
}

}  // namespace

std::vector<TrackerAnswer> AskTrackers(const std::vector<std::string>& addresses, base::Duration patience) {
  std::vector<std::future<absl::StatusOr<pb::StatusResponse>>> asked;
  for (const std::string& address : addresses) {
    asked.push_back(std::async(std::launch::async, [&address, patience] { return Ask(address, patience); }));
  }
  std::vector<TrackerAnswer> answers;
  for (size_t i = 0; i < asked.size(); ++i) answers.push_back({.address = addresses[i], .status = asked[i].get()});
  return answers;
}

}  // namespace larder::cli
