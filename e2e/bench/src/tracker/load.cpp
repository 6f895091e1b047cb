#include "src/tracker/load.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "src/must.h"
#include "src/server.h"

namespace larder::bench {
namespace {

constexpr auto kDrain = std::chrono::seconds(30);
constexpr auto kRetryAfter = std::chrono::milliseconds(10);
constexpr int kTickMs = 10;

// All of kKeys, each once, before one comes again.
std::string NextKey() {
  static constexpr uint32_t kStride = 7919;
  static uint32_t at = 0;
  at = (at + kStride) % Load::kKeys;
  return fmt::format("key:{:06}", at);
}

}  // namespace

struct Load::Connection {
  struct Request {
    uint32_t id;
    Moment sent;
  };
  int fd = -1;
  std::unique_ptr<Protocol> protocol;
  std::string in, out;
  std::vector<Request> under_way;
  size_t refused = 0;  // to be issued again
  Moment retry_at;
};

Load::Load(LoadOptions options) : options_(std::move(options)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  for (size_t i = 0; i < options_.connections; ++i) {
    const Endpoint& server = options_.servers[i % options_.servers.size()];
    auto connection = std::make_unique<Connection>();
    connection->fd = ConnectTcp(server.host, server.port);
    if (connection->fd < 0) Die(fmt::format("cannot connect to {}:{}", server.host, server.port));
    connection->protocol = options_.speak();
    connection->protocol->Greet(connection->out);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = connection.get()}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->fd, &event);
    connections_.push_back(std::move(connection));
  }
}

Load::~Load() {
  for (const auto& connection : connections_) {
    if (connection->fd >= 0) ::close(connection->fd);
  }
  ::close(epoll_);
}

void Load::Run(Moment end, const std::function<bool(const Done&)>& done) {
  done_ = &done;
  issuing_ = true;
  for (const auto& connection : connections_) {
    for (size_t i = 0; i < options_.in_flight; ++i) Issue(*connection);
    Flush(*connection);
  }
  while (issuing_ || under_way_ > 0) {
    std::array<epoll_event, 64> events;
    const int count = ::epoll_wait(epoll_, events.data(), events.size(), kTickMs);
    const Moment now = std::chrono::steady_clock::now();
    if (now >= end) issuing_ = false;
    if (now >= end + kDrain) Die("a request was not answered within 30 s");
    for (int i = 0; i < count; ++i) Read(*static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr), now);
    if (issuing_) Retry(now);
  }
}

void Load::Issue(Connection& connection) {
  const uint32_t id = connection.protocol->Request(NextKey(), connection.out);
  connection.under_way.push_back({.id = id, .sent = std::chrono::steady_clock::now()});
  ++under_way_;
}

void Load::Flush(Connection& connection) {
  // Blocks if the server reads nothing, which the little that is under way does not lead to.
  while (connection.fd >= 0 && !connection.out.empty()) {
    const ssize_t sent = ::send(connection.fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return Drop(connection, "a server ended a connection");
    connection.out.erase(0, static_cast<size_t>(sent));
  }
}

void Load::Read(Connection& connection, Moment now) {
  if (connection.fd < 0) return;  // dropped by an event before this one
  std::array<char, 65536> buffer;
  const ssize_t got = ::recv(connection.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return Drop(connection, "a server ended a connection");
  connection.in.append(buffer.data(), static_cast<size_t>(got));
  answers_.clear();
  connection.in.erase(0, connection.protocol->Take(connection.in, connection.out, answers_));
  for (const Answer& answer : answers_) {
    const auto request = std::ranges::find(connection.under_way, answer.request, &Connection::Request::id);
    if (request == connection.under_way.end()) Die("a server answered what was not asked");
    const Done done{.sent = request->sent, .at = now};
    *request = connection.under_way.back();
    connection.under_way.pop_back();
    --under_way_;
    if (!answer.ok) {
      if (!options_.servers_may_fail) Die("a server refused a request");
      ++connection.refused;
      connection.retry_at = now + kRetryAfter;
      continue;
    }
    if (issuing_ && !(*done_)(done)) issuing_ = false;
    if (issuing_) Issue(connection);
  }
  Flush(connection);
}

void Load::Drop(Connection& connection, const char* why) {
  if (!options_.servers_may_fail) Die(why);
  ::close(connection.fd);
  connection.fd = -1;
  under_way_ -= connection.under_way.size();
  connection.under_way.clear();
}

void Load::Retry(Moment now) {
  for (const auto& connection : connections_) {
    if (connection->fd < 0 || connection->refused == 0 || connection->retry_at > now) continue;
    for (; connection->refused > 0; --connection->refused) Issue(*connection);
    Flush(*connection);
  }
}

}  // namespace larder::bench
