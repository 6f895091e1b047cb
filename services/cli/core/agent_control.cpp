#include "core/agent_control.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "larder/agent/v1/agent.grpc.pb.h"
#include "larder/base/status.h"
#include "larder/client/client.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/status.h"
#include "larder/transport/register_all.h"

namespace larder::cli {

namespace pb = larder::agent::v1;

namespace {

constexpr char kNamespaceKey[] = "larder-namespace";
constexpr char kTokenKey[] = "larder-session-bin";

// gRPC's own errors have no reason, and speak of sockets.
absl::Status Explained(const absl::Status& status, const std::string& where) {
  if (!base::Reason(status).empty()) return status;
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return base::Error(status.code(), "NO_AGENT", "no agent answers at {} (is it running? larder doctor tells more)",
                         where);
    case absl::StatusCode::kDeadlineExceeded:
      return base::Error(absl::StatusCode::kUnavailable, "NO_ANSWER",
                         "the agent at {} does not answer in time (is it stopped, or out of CPU?)", where);
    case absl::StatusCode::kUnimplemented:
      return base::Error(status.code(), "OLD_AGENT",
                         "the agent at {} is too old for this (use a larder of its version)", where);
    default:
      return status;
  }
}

}  // namespace

absl::StatusOr<Endpoint> ParseEndpoint(const std::string& endpoint) {
  LARDER_ASSIGN_OR_RETURN(object::UriParts uri, object::SplitUri(endpoint));
  object::TransportRegistry transports("transport");
  transport::RegisterAll(transports);
  LARDER_ASSIGN_OR_RETURN(const object::TransportEntry* transport, transports.Get(uri.scheme));
  return Endpoint{.transport = *transport, .address = std::move(uri.rest)};
}

struct AgentControl::Impl {
  std::string endpoint;
  std::string ns;
  std::string where;
  std::unique_ptr<pb::Agent::Stub> stub;
  // Its session is the one that calls act in, where the caller's word does not count.
  std::unique_ptr<client::Client> client;
};

AgentControl::AgentControl(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AgentControl::~AgentControl() = default;

absl::StatusOr<std::unique_ptr<AgentControl>> AgentControl::Open(const std::string& endpoint, const std::string& ns) {
  LARDER_ASSIGN_OR_RETURN(const Endpoint parsed, ParseEndpoint(endpoint));
  if (parsed.transport.control == nullptr) {
    return base::InvalidArgument("NO_CONTROL", "an agent cannot be asked how it is over {}", endpoint);
  }
  const std::string where = parsed.transport.control(parsed.address);
  const auto channel = where.starts_with('/') ? rpc::DialUnix(where) : rpc::Dial(where);
  auto impl =
      std::make_unique<Impl>(Impl{.endpoint = endpoint, .ns = ns, .where = where, .stub = pb::Agent::NewStub(channel)});
  return std::unique_ptr<AgentControl>(new AgentControl(std::move(impl)));
}

absl::StatusOr<pb::StatusResponse> AgentControl::Status(base::Duration patience) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::duration_cast<std::chrono::system_clock::duration>(patience));
  // A socket that is there may be busy for a moment; only what is not there is refused at once.
  std::error_code error;
  context.set_wait_for_ready(impl_->where.starts_with('/') && std::filesystem::exists(impl_->where, error));
  if (!impl_->ns.empty()) context.AddMetadata(kNamespaceKey, impl_->ns);
  if (impl_->client == nullptr) {
    // Without a session the call may still be answered; what stands in its way will be told by the call.
    auto client = client::Client::Connect(impl_->endpoint, {.ns = impl_->ns, .timeout = patience, .retries = 0});
    if (client.ok()) impl_->client = *std::move(client);
  }
  if (const std::string token = impl_->client == nullptr ? "" : impl_->client->token(); !token.empty()) {
    context.AddMetadata(kTokenKey, token);
  }
  pb::StatusResponse response;
  const absl::Status status = rpc::FromGrpc(impl_->stub->Status(&context, pb::StatusRequest(), &response), context);
  if (status.ok()) return response;
  impl_->client.reset();  // perhaps its session ended with the agent
  return Explained(status, impl_->where);
}

const std::string& AgentControl::where() const { return impl_->where; }

}  // namespace larder::cli
