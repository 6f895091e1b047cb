#include "larder/resp/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "larder/base/unique_fd.h"
#include "src/event_loop.h"
#include "src/metrics.h"

namespace larder::resp {
namespace {

absl::StatusOr<base::UniqueFd> Listen(const ServerOptions& options, uint16_t& port) {
  sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
  if (inet_pton(AF_INET, options.host.c_str(), &address.sin_addr) != 1) {
    return base::InvalidArgument("BAD_ADDRESS", "{} is no IPv4 address: give one such as 0.0.0.0", options.host);
  }
  base::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return base::ErrnoError(errno, "socket");
  const int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd.get(), generic, size) < 0 || listen(fd.get(), SOMAXCONN) < 0 ||
      getsockname(fd.get(), generic, &size) < 0) {
    return base::ErrnoError(errno, fmt::format("listening on {}:{}", options.host, options.port));
  }
  port = ntohs(address.sin_port);
  return fd;
}

}  // namespace

struct Server::Impl {
  Impl(ServerOptions given, Commands& commands, const Authenticator* authenticator, const base::Clock& clock,
       observe::Registry& registry)
      : options(std::move(given)), metrics(registry), shared{options, commands, authenticator, clock, metrics} {}

  const ServerOptions options;
  Metrics metrics;
  Shared shared;
  uint16_t port = 0;
  std::vector<std::unique_ptr<EventLoop>> loops;
};

Server::Server(ServerOptions options, Commands& commands, const Authenticator* authenticator, const base::Clock& clock,
               observe::Registry& registry)
    : impl_(std::make_unique<Impl>(std::move(options), commands, authenticator, clock, registry)) {}

Server::~Server() { Stop(base::Deadline::min()); }

uint16_t Server::port() const { return impl_->port; }

absl::Status Server::Start() {
  uint16_t port = 0;
  LARDER_ASSIGN_OR_RETURN(base::UniqueFd listener, Listen(impl_->options, port));
  std::vector<std::shared_ptr<Inbox>> inboxes;
  std::vector<std::unique_ptr<EventLoop>> loops;
  for (size_t i = 0; i < std::max<size_t>(1, impl_->options.threads); ++i) {
    inboxes.push_back(loops.emplace_back(std::make_unique<EventLoop>(impl_->shared))->inbox());
  }
  loops.front()->Accept(std::move(listener), std::move(inboxes));
  // The one that accepts comes last: it gives sockets to the others at once.
  for (auto loop = loops.rbegin(); loop != loops.rend(); ++loop) LARDER_RETURN_IF_ERROR((*loop)->Start());
  impl_->loops = std::move(loops);
  impl_->port = port;
  return absl::OkStatus();
}

void Server::Stop(base::Deadline deadline) {
  for (const auto& loop : impl_->loops) loop->inbox()->Stop(deadline);
  for (const auto& loop : impl_->loops) loop->Join();
  impl_->loops.clear();
}

}  // namespace larder::resp
