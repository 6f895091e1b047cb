#pragma once
#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "larder/observe/logger.h"
#include "larder/observe/registry.h"

namespace larder::observe {

struct AdminOptions {
  std::string host = "0.0.0.0";
  uint16_t port = 0;             // 0: any free one
  bool port_is_default = false;  // nobody asked for it, so a free one does if it is taken
};

// A process' admin port, HTTP: /metrics (Prometheus text), /healthz (200 as long as the process answers), /readyz (200
// or 503, by SetReady), /configz (text). GET only, one request a connection, two threads. Thread-safe.
class AdminServer {
 public:
  // Borrows the registry and the log. `config_text` is called by the server's threads and must hold no secret.
  AdminServer(AdminOptions options, const Registry& registry, Logger& log, std::function<std::string()> config_text);
  ~AdminServer();  // stops
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  // Listens; requests are answered once it returns. FAILED_PRECONDITION (PORT_TAKEN) if the port cannot be bound, or
  // FAILED_PRECONDITION (CANNOT_LISTEN) if not even a free one can. Once only.
  absl::Status Start();
  // The port listened on; 0 before Start succeeded.
  uint16_t port() const { return port_; }
  void SetReady(bool ready) { ready_ = ready; }
  bool ready() const { return ready_; }
  // Answers what was accepted, then joins. Idempotent.
  void Stop();

 private:
  struct Http;
  absl::Status Bind();

  const AdminOptions options_;
  const Registry& registry_;
  Logger& log_;
  const std::function<std::string()> config_text_;
  std::atomic<bool> ready_ = false;
  std::atomic<uint16_t> port_ = 0;
  std::unique_ptr<Http> http_;
};

}  // namespace larder::observe
