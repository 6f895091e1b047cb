#include "larder/rpc/server.h"

#include <fmt/format.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <limits>
#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "larder/rpc/acceptor.h"
#include "larder/rpc/address.h"
#include "larder/rpc/channel.h"
#include "src/calls_order.h"

namespace larder::rpc {
namespace {

constexpr int kMaxMetadataBytes = 8 << 10;
constexpr int kBacklog = 128;

// gRPC offers both only as switches of the process; they are thrown once, whoever makes the first server.
void EnableHealthAndReflection() {
  static const bool kEnabled = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  static_cast<void>(kEnabled);
}

// The only plugin there is, and with it the threads that synchronous services need.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override { plugins->clear(); }
};

absl::Status CannotListen(std::string_view where, std::string_view why) {
  return base::Error(absl::StatusCode::kFailedPrecondition, "CANNOT_LISTEN", "cannot listen on {}: {}", where, why);
}

absl::StatusOr<base::UniqueFd> ListenAt(const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ::unlink(path.c_str());
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return CannotListen(path, base::Message(base::ErrnoError(errno, "bind a socket")));
  }
  return fd;
}

std::chrono::system_clock::time_point WallDeadline(base::Deadline deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  return std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(left);
}

}  // namespace

struct Server::Impl {
  Impl(ServerOptions o, observe::Logger& l) : options(std::move(o)), log(l) {}

  absl::Status CheckOptions() const;
  absl::Status Publish(const std::string& aside);
  void Unpublish() const;
  absl::Status Accept();
  void StopAccepting();

  void SetLimits(grpc::ServerBuilder& builder) const;

  const ServerOptions options;
  observe::Logger& log;
  std::vector<grpc::Service*> services;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<Acceptor> own_acceptor;  // of `listening`
  base::UniqueFd accepted;                 // the socket at unix_path, if an acceptor takes its connections
  int port = 0;
  struct stat socket = {};  // what lies at unix_path, if it is ours
};

absl::Status Server::Impl::CheckOptions() const {
  if (options.address.empty() && options.unix_path.empty() && !options.listening) {
    return base::InvalidArgument("NO_ADDRESS", "a server needs an address or a socket path");
  }
  if (!options.address.empty()) LARDER_RETURN_IF_ERROR(CheckHostPort(options.address));
  return absl::OkStatus();
}

void Server::Impl::SetLimits(grpc::ServerBuilder& builder) const {
  const ServerLimits& limits = options.limits;
  builder.SetMaxReceiveMessageSize(limits.message_bytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits.streams);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  if (limits.quota != nullptr) {
    builder.SetResourceQuota(*limits.quota);
  } else {
    // Pings that wake both sides after each small message; under a quota windows shrink by them.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  }
}

// Gives the socket bound at `aside` its mode and then its name, replacing whatever had it.
absl::Status Server::Impl::Publish(const std::string& aside) {
  const std::string& path = options.unix_path.native();
  if (::chmod(aside.c_str(), options.unix_mode) != 0 || ::stat(aside.c_str(), &socket) != 0 ||
      ::rename(aside.c_str(), path.c_str()) != 0) {
    absl::Status failed = CannotListen(path, base::Message(base::ErrnoError(errno, "publish the socket")));
    ::unlink(aside.c_str());
    socket = {};
    return failed;
  }
  return absl::OkStatus();
}

void Server::Impl::Unpublish() const {
  struct stat now = {};
  const char* path = options.unix_path.c_str();
  if (socket.st_ino == 0 || ::stat(path, &now) != 0) return;
  if (now.st_ino == socket.st_ino && now.st_dev == socket.st_dev) ::unlink(path);
}

absl::Status Server::Impl::Accept() {
  constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
  const size_t most = options.limits.connections == 0 ? kNoLimit : options.limits.connections;
  if (accepted) LARDER_RETURN_IF_ERROR(options.acceptor->Add(accepted.get(), most, *server));
  if (!options.listening) return absl::OkStatus();
  own_acceptor = std::make_unique<Acceptor>(kNoLimit);
  return own_acceptor->Add(options.listening.get(), kNoLimit, *server);
}

void Server::Impl::StopAccepting() {
  if (accepted) options.acceptor->Remove(accepted.get());
  accepted.Reset();
  if (own_acceptor != nullptr) own_acceptor->Remove(options.listening.get());
  own_acceptor.reset();
}

Server::Server(ServerOptions options, observe::Logger& log) : impl_(std::make_unique<Impl>(std::move(options), log)) {}

Server::~Server() { Stop(base::Deadline()); }

void Server::Add(grpc::Service& service) { impl_->services.push_back(&service); }

absl::Status Server::Start() {
  LARDER_RETURN_IF_ERROR(impl_->CheckOptions());
  EnableHealthAndReflection();
  const ServerOptions& options = impl_->options;
  const std::string aside = fmt::format("{}.{}", options.unix_path.native(), ::getpid());
  if (!options.unix_path.empty() && aside.size() >= sizeof(sockaddr_un::sun_path)) {
    return base::InvalidArgument("PATH_TOO_LONG",
                                 "socket path {} is too long: the kernel takes {} bytes with the suffix", aside,
                                 sizeof(sockaddr_un::sun_path) - 1);
  }
  grpc::ServerBuilder builder;
  impl_->SetLimits(builder);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // else two processes share a port unnoticed
  // Only health and reflection are synchronous.
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 2);
  const auto credentials = grpc::InsecureServerCredentials();
  if (!options.address.empty()) builder.AddListeningPort(options.address, credentials, &impl_->port);
  if (!options.unix_path.empty() && options.acceptor != nullptr) {
    LARDER_ASSIGN_OR_RETURN(impl_->accepted, ListenAt(aside));
  } else if (!options.unix_path.empty()) {
    builder.AddListeningPort("unix:" + aside, credentials);
  }
  if (!options.reflection) builder.SetOption(std::make_unique<WithoutReflection>());
  for (grpc::Service* service : impl_->services) builder.RegisterService(service);
  CallsBegin(builder, impl_.get());
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr) {
    impl_->port = 0;
    if (impl_->accepted) ::unlink(aside.c_str());
    return CannotListen(options.address.empty() ? options.unix_path.native() : options.address,
                        "is it in use? (choose another, or stop who has it)");
  }
  if (!options.unix_path.empty()) {
    if (absl::Status published = impl_->Publish(aside); !published.ok()) {
      Stop(base::Deadline());
      return published;
    }
  }
  if (const absl::Status accepts = impl_->Accept(); !accepts.ok()) {
    Stop(base::Deadline());
    return CannotListen(options.unix_path.empty() ? "the socket given" : options.unix_path.native(),
                        base::Message(accepts));
  }
  SetServing(true);
  impl_->log.Info("grpc serving",
                  {{"address", options.address}, {"port", impl_->port}, {"socket", options.unix_path.native()}});
  return absl::OkStatus();
}

void Server::Stop(base::Deadline deadline) {
  if (impl_->server == nullptr) return;
  SetServing(false);
  impl_->Unpublish();
  impl_->StopAccepting();
  if (deadline == base::kNoDeadline) {
    impl_->server->Shutdown();
  } else {
    impl_->server->Shutdown(WallDeadline(deadline));
  }
  impl_->server.reset();
  CallsHaveEnded(impl_.get());
}

uint16_t Server::port() const { return static_cast<uint16_t>(impl_->port); }

void Server::SetServing(bool serving) {
  if (impl_->server != nullptr) impl_->server->GetHealthCheckService()->SetServingStatus(serving);
}

}  // namespace larder::rpc
