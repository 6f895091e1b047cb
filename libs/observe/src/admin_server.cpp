#include "larder/observe/admin_server.h"

#include <httplib.h>

#include <chrono>
#include <thread>
#include <utility>

#include "larder/base/status.h"

namespace larder::observe {
namespace {

constexpr size_t kThreads = 2;  // so that a slow scrape does not hold up the kubelet's probe
constexpr size_t kMaxBody = 4096;
constexpr auto kIoTimeout = std::chrono::seconds(2);
constexpr char kPlain[] = "text/plain; charset=utf-8";

// SO_REUSEADDR alone: with httplib's default, SO_REUSEPORT, two processes would share the port and its requests.
void ReuseAddress(int socket) {
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

}  // namespace

struct AdminServer::Http {
  httplib::Server server;
  std::thread listener;
};

AdminServer::AdminServer(AdminOptions options, const Registry& registry, Logger& log,
                         std::function<std::string()> config_text)
    : options_(std::move(options)),
      registry_(registry),
      log_(log),
      config_text_(std::move(config_text)),
      http_(std::make_unique<Http>()) {
  httplib::Server& server = http_->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_tcp_nodelay(true);
  server.set_socket_options(ReuseAddress);
  server.set_keep_alive_max_count(1);  // an idle connection would hold one of the threads
  server.set_payload_max_length(kMaxBody);
  server.set_read_timeout(kIoTimeout);
  server.set_write_timeout(kIoTimeout);
  server.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(registry_.Render(), "text/plain; version=0.0.4; charset=utf-8");
  });
  server.Get("/healthz",
             [](const httplib::Request&, httplib::Response& response) { response.set_content("ok\n", kPlain); });
  server.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
    response.status = ready_ ? 200 : 503;
    response.set_content(ready_ ? "ready\n" : "not ready\n", kPlain);
  });
  server.Get("/configz", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(config_text_(), kPlain);
  });
}

AdminServer::~AdminServer() { Stop(); }

absl::Status AdminServer::Bind() {
  httplib::Server& server = http_->server;
  if (options_.port != 0) {
    if (server.bind_to_port(options_.host, options_.port)) {
      port_ = options_.port;
      return absl::OkStatus();
    }
    if (!options_.port_is_default) {
      return base::Error(absl::StatusCode::kFailedPrecondition, "PORT_TAKEN",
                         "cannot listen on admin address {}:{}: is it in use? (choose another port, or 0 for any)",
                         options_.host, options_.port);
    }
  }
  const int port = server.bind_to_any_port(options_.host);
  if (port <= 0) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "CANNOT_LISTEN",
                       "cannot listen on any port of {}: is it an address of this host?", options_.host);
  }
  port_ = static_cast<uint16_t>(port);
  if (options_.port != 0) {
    log_.Warning("default admin port is taken, using a free one", {{"taken", options_.port}, {"port", port}});
  }
  return absl::OkStatus();
}

absl::Status AdminServer::Start() {
  LARDER_RETURN_IF_ERROR(Bind());
  http_->listener = std::thread([this] { http_->server.listen_after_bind(); });
  // httplib ignores a stop() that comes before its loop runs.
  while (!http_->server.is_running()) std::this_thread::yield();
  log_.Info("admin port serving", {{"host", options_.host}, {"port", port()}});
  return absl::OkStatus();
}

void AdminServer::Stop() {
  if (!http_->listener.joinable()) return;
  http_->server.stop();
  http_->listener.join();
}

}  // namespace larder::observe
