#include "rpc/grpc_tracker_link.h"

#include <grpcpp/channel.h>

#include <utility>

#include "larder/rpc/channel.h"
#include "larder/rpc/outgoing_calls.h"
#include "larder/tracker/v1/tracker.grpc.pb.h"
#include "rpc/grpc_link.h"

namespace larder::cache_agent {

namespace v1 = larder::tracker::v1;

namespace {

class GrpcTrackerLink final : public TrackerLink {
 public:
  GrpcTrackerLink(const std::string& address, Events events)
      : stub_(v1::Tracker::NewStub(rpc::Dial(address))),
        stream_({.received = std::move(events.received), .ended = std::move(events.ended)},
                [this](grpc::ClientContext* context, auto* reactor) { stub_->async()->Stream(context, reactor); }) {}

  void Send(v1::StreamRequest request) override { stream_.Send(std::move(request)); }

  void List(v1::ListRequest request, base::Duration timeout,
            object::Done<absl::StatusOr<v1::ListResponse>> done) override {
    Ask(&Stub::List, std::move(request), timeout, std::move(done));
  }
  void GetInventory(v1::GetInventoryRequest request, base::Duration timeout,
                    object::Done<absl::StatusOr<v1::GetInventoryResponse>> done) override {
    Ask(&Stub::GetInventory, std::move(request), timeout, std::move(done));
  }
  void NodeAlive(v1::NodeAliveRequest request, base::Duration timeout,
                 object::Done<absl::StatusOr<v1::NodeAliveResponse>> done) override {
    Ask(&Stub::NodeAlive, std::move(request), timeout, std::move(done));
  }
  void ListNodes(v1::ListNodesRequest request, base::Duration timeout,
                 object::Done<absl::StatusOr<v1::ListNodesResponse>> done) override {
    Ask(&Stub::ListNodes, std::move(request), timeout, std::move(done));
  }

 private:
  using Stub = v1::Tracker::StubInterface::async_interface;
  template <typename Request, typename Response>
  using Method = void (Stub::*)(grpc::ClientContext*, const Request*, Response*, std::function<void(grpc::Status)>);
  template <typename Request, typename Response>
  void Ask(Method<Request, Response> method, Request request, base::Duration timeout,
           object::Done<absl::StatusOr<Response>> done) {
    questions_.Ask<Request, Response>(std::move(request), timeout, std::move(done),
                                      [this, method](auto* context, auto* sent, auto* received, auto then) {
                                        (stub_->async()->*method)(context, sent, received, std::move(then));
                                      });
  }

  const std::unique_ptr<v1::Tracker::Stub> stub_;
  GrpcStream<v1::StreamRequest, v1::StreamResponse> stream_;
  rpc::OutgoingCalls questions_;
};

}  // namespace

std::unique_ptr<TrackerLink> DialTrackerByGrpc(const std::string& address, TrackerLink::Events events) {
  return std::make_unique<GrpcTrackerLink>(address, std::move(events));
}

}  // namespace larder::cache_agent
