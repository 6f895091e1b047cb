#include "larder/swarm/piece_server.h"

#include <vector>

#include "larder/base/sockets.h"
#include "src/serve_loop.h"

namespace larder::swarm {
namespace {

class TcpPieceServer final : public PieceServer {
 public:
  TcpPieceServer(const PieceServerOptions& options, const Parts& parts, base::UniqueFd listener, std::string address)
      : state_(options, parts), listener_(std::move(listener)), address_(std::move(address)) {}
  ~TcpPieceServer() override { Stop(); }

  absl::Status StartLoops() {
    for (int i = 0; i < state_.options.threads; ++i) {
      loops_.push_back(std::make_unique<ServeLoop>(state_, listener_.get()));
      LARDER_RETURN_IF_ERROR(loops_.back()->Start());
    }
    return absl::OkStatus();
  }
  std::string address() const override { return address_; }
  void SetNodeEpoch(NodeEpoch epoch) override { state_.node_epoch = epoch.value; }
  Usage usage() const override {
    return {.pending = state_.pending,
            .connections = state_.connections,
            .waiting = state_.waiting,
            .sent = state_.sent,
            .malformed = state_.malformed,
            .bad_tickets = state_.bad_tickets};
  }
  void Stop() override {
    for (const auto& loop : loops_) loop->Stop();
    listener_.Reset();
  }

 private:
  ServerState state_;
  base::UniqueFd listener_;
  const std::string address_;
  std::vector<std::unique_ptr<ServeLoop>> loops_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PieceServer>> PieceServer::Start(PieceServerOptions options, Parts parts) {
  LARDER_ASSIGN_OR_RETURN(base::UniqueFd listener, base::ListenOn(options.listen));
  LARDER_ASSIGN_OR_RETURN(std::string address, base::LocalAddress(listener.get()));
  auto server = std::make_unique<TcpPieceServer>(options, parts, std::move(listener), std::move(address));
  LARDER_RETURN_IF_ERROR(server->StartLoops());
  return server;
}

}  // namespace larder::swarm
