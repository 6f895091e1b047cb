#include "core/agent_control.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "core/object_proto.h"
#include "larder/agent/v1/agent.grpc.pb.h"
#include "larder/base/backoff.h"
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
constexpr int kRetries = 3;
constexpr base::Duration kFirstPause = std::chrono::milliseconds(100);
constexpr base::Duration kLongestPause = std::chrono::seconds(1);

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
  std::unique_ptr<pb::Agent::Stub> stub;  // none: the transport leads to no gRPC, and only its own calls are possible
  // Its session is the one that calls act in, where the caller's word does not count.
  std::unique_ptr<client::Client> client;

  absl::Status Connect(base::Duration patience);
  template <typename Request, typename Response>
  using Call = grpc::Status (pb::Agent::Stub::*)(grpc::ClientContext*, const Request&, Response*);
  template <typename Request, typename Response>
  absl::Status Ask(Call<Request, Response> call, const Request& request, base::Duration patience, Response& response);
  // The same of what is safe to ask again, while an agent starts anew.
  template <typename Request, typename Response>
  absl::Status AskAgain(Call<Request, Response> call, const Request& request, base::Duration patience,
                        Response& response);
};

AgentControl::AgentControl(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AgentControl::~AgentControl() = default;

absl::StatusOr<std::unique_ptr<AgentControl>> AgentControl::Open(const std::string& endpoint, const std::string& ns) {
  LARDER_ASSIGN_OR_RETURN(const Endpoint parsed, ParseEndpoint(endpoint));
  auto impl = std::make_unique<Impl>(Impl{.endpoint = endpoint, .ns = ns});
  if (parsed.transport.control != nullptr) {
    impl->where = parsed.transport.control(parsed.address);
    const auto channel = impl->where.starts_with('/') ? rpc::DialUnix(impl->where) : rpc::Dial(impl->where);
    impl->stub = pb::Agent::NewStub(channel);
  }
  return std::unique_ptr<AgentControl>(new AgentControl(std::move(impl)));
}

absl::Status AgentControl::Impl::Connect(base::Duration patience) {
  if (client != nullptr) return absl::OkStatus();
  LARDER_ASSIGN_OR_RETURN(client, client::Client::Connect(endpoint, {.ns = ns, .timeout = patience}));
  return absl::OkStatus();
}

template <typename Request, typename Response>
absl::Status AgentControl::Impl::Ask(Call<Request, Response> call, const Request& request, base::Duration patience,
                                     Response& response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::duration_cast<std::chrono::system_clock::duration>(patience));
  // A socket that is there may be busy for a moment; only what is not there is refused at once.
  std::error_code error;
  context.set_wait_for_ready(where.starts_with('/') && std::filesystem::exists(where, error));
  if (!ns.empty()) context.AddMetadata(kNamespaceKey, ns);
  if (client == nullptr) {
    // Without a session the call may still be answered; what stands in its way will be told by the call.
    auto connected = client::Client::Connect(endpoint, {.ns = ns, .timeout = patience, .retries = 0});
    if (connected.ok()) client = *std::move(connected);
  }
  if (const std::string token = client == nullptr ? "" : client->token(); !token.empty()) {
    context.AddMetadata(kTokenKey, token);
  }
  const absl::Status status = rpc::FromGrpc(((*stub).*call)(&context, request, &response), context);
  if (!status.ok()) client.reset();  // perhaps its session ended with the agent
  return status;
}

template <typename Request, typename Response>
absl::Status AgentControl::Impl::AskAgain(Call<Request, Response> call, const Request& request, base::Duration patience,
                                          Response& response) {
  absl::Status status;
  for (int again = 0; again <= kRetries; ++again) {
    if (again > 0)
      std::this_thread::sleep_for(base::BackoffDelay(again - 1, kFirstPause, kLongestPause, base::BackoffRandom()));
    status = Ask(call, request, patience, response);
    // The agent's own errors have a reason, and come again.
    const bool lost = absl::IsUnavailable(status) && base::Reason(status).empty();
    if (!lost && base::Reason(status) != "NO_SESSION" && base::Reason(status) != "STOPPING") break;
  }
  if (!absl::IsDeadlineExceeded(status) || !base::Reason(status).empty()) return Explained(status, where);
  return base::Error(status.code(), "NO_ANSWER", "the agent at {} did not answer in time", where);
}

absl::StatusOr<pb::StatusResponse> AgentControl::Status(base::Duration patience) {
  if (impl_->stub == nullptr) {
    return base::InvalidArgument("NO_CONTROL", "an agent cannot be asked how it is over {}", impl_->endpoint);
  }
  pb::StatusResponse response;
  const absl::Status status = impl_->Ask(&pb::Agent::Stub::Status, pb::StatusRequest(), patience, response);
  if (status.ok()) return response;
  return Explained(status, impl_->where);
}

absl::StatusOr<object::ObjectStat> AgentControl::Stat(const std::string& key, base::Duration patience) {
  if (impl_->stub == nullptr) {
    LARDER_RETURN_IF_ERROR(impl_->Connect(patience));
    LARDER_ASSIGN_OR_RETURN(object::ObjectInfo info, impl_->client->Stat(key));
    return object::ObjectStat{.info = std::move(info)};
  }
  pb::StatRequest request;
  request.set_key(key);
  pb::StatResponse response;
  LARDER_RETURN_IF_ERROR(impl_->AskAgain(&pb::Agent::Stub::Stat, request, patience, response));
  object::ObjectStat stat;
  LARDER_ASSIGN_OR_RETURN(stat.info, FromProto(response.object()));
  if (response.has_placement()) stat.placement = FromProto(response.placement());
  return stat;
}

absl::StatusOr<object::ListPage> AgentControl::List(const object::ListRequest& request, base::Duration patience) {
  if (impl_->stub == nullptr) {
    LARDER_RETURN_IF_ERROR(impl_->Connect(patience));
    return impl_->client->List(request);
  }
  pb::ListRequest asked;
  asked.set_prefix(request.prefix);
  asked.set_page_size(request.limit);
  asked.set_page_token(request.after);
  asked.set_local(request.local);
  pb::ListResponse response;
  LARDER_RETURN_IF_ERROR(impl_->AskAgain(&pb::Agent::Stub::List, asked, patience, response));
  object::ListPage page{.more = !response.next_page_token().empty()};
  for (const pb::Object& proto : response.objects()) {
    LARDER_ASSIGN_OR_RETURN(object::ObjectInfo info, FromProto(proto));
    page.objects.push_back(std::move(info));
  }
  return page;
}

absl::StatusOr<pb::ListNodesResponse> AgentControl::ListNodes(const pb::ListNodesRequest& request,
                                                              base::Duration patience) {
  if (impl_->stub == nullptr) {
    return base::InvalidArgument("NO_CONTROL", "an agent cannot be asked for the nodes over {}", impl_->endpoint);
  }
  pb::ListNodesResponse response;
  LARDER_RETURN_IF_ERROR(impl_->AskAgain(&pb::Agent::Stub::ListNodes, request, patience, response));
  return response;
}

std::string AgentControl::node() const { return impl_->client == nullptr ? "" : impl_->client->node(); }

const std::string& AgentControl::where() const { return impl_->where; }

}  // namespace larder::cli
