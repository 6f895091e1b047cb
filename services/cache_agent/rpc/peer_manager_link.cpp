#include "rpc/peer_manager_link.h"

#include <grpcpp/channel.h>

#include <utility>

#include "larder/peers/v1/peers.grpc.pb.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/outgoing_calls.h"
#include "rpc/grpc_link.h"

namespace larder::cache_agent {

namespace pb = larder::peers::v1;

namespace {

class GrpcPeerManagerLink final : public PeerManagerLink {
 public:
  GrpcPeerManagerLink(const std::string& address, Events events)
      : stub_(pb::PeerManager::NewStub(rpc::Dial(address))),
        stream_({.received = std::move(events.received), .ended = std::move(events.ended)},
                [this](grpc::ClientContext* context, auto* reactor) { stub_->async()->Session(context, reactor); }) {}

  void Send(pb::SessionRequest request) override { stream_.Send(std::move(request)); }
  void ListNodes(pb::ListNodesRequest request, base::Duration timeout,
                 object::Done<absl::StatusOr<pb::ListNodesResponse>> done) override {
    questions_.Ask<pb::ListNodesRequest, pb::ListNodesResponse>(
        std::move(request), timeout, std::move(done), [this](auto* context, auto* sent, auto* received, auto then) {
          stub_->async()->ListNodes(context, sent, received, std::move(then));
        });
  }
  void Join(pb::JoinRequest request, base::Duration timeout,
            object::Done<absl::StatusOr<pb::JoinResponse>> done) override {
    questions_.Ask<pb::JoinRequest, pb::JoinResponse>(std::move(request), timeout, std::move(done),
                                                      [this](auto* context, auto* sent, auto* received, auto then) {
                                                        stub_->async()->Join(context, sent, received, std::move(then));
                                                      });
  }

 private:
  const std::unique_ptr<pb::PeerManager::Stub> stub_;
  GrpcStream<pb::SessionRequest, pb::SessionResponse> stream_;
  rpc::OutgoingCalls questions_;
};

}  // namespace

std::unique_ptr<PeerManagerLink> DialPeerManagerByGrpc(const std::string& address, PeerManagerLink::Events events) {
  return std::make_unique<GrpcPeerManagerLink>(address, std::move(events));
}

}  // namespace larder::cache_agent
