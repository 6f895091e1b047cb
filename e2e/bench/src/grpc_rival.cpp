#include "src/grpc_rival.h"

#include <grpcpp/grpcpp.h>
#include <sys/socket.h>

#include "larder/agent/v1/agent.grpc.pb.h"
#include "larder/rpc/channel.h"

namespace larder::bench {
namespace {

namespace pb = larder::agent::v1;

class Service final : public pb::Agent::CallbackService {
  grpc::ServerUnaryReactor* Stat(grpc::CallbackServerContext* context, const pb::StatRequest* request,
                                 pb::StatResponse* response) override {
    pb::Object& object = *response->mutable_object();
    object.set_key(request->key());
    object.set_state(pb::OBJECT_STATE_SEALED);
    object.set_epoch(1);
    object.set_size_bytes(1 << 20);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

}  // namespace

struct GrpcUnary::Impl {
  explicit Impl(const std::string& socket)
      : server({"/proc/self/exe", kServeFlag, socket}, socket, SOCK_STREAM),
        stub(pb::Agent::NewStub(rpc::DialUnix(socket))) {
    request.set_key("1m");
  }
  Server server;
  std::unique_ptr<pb::Agent::Stub> stub;
  pb::StatRequest request;
};

GrpcUnary::GrpcUnary(const std::string& dir) : impl_(std::make_unique<Impl>(dir + "/grpc.sock")) {}
GrpcUnary::~GrpcUnary() = default;

void GrpcUnary::Call() {
  grpc::ClientContext context;
  pb::StatResponse response;
  const grpc::Status status = impl_->stub->Stat(&context, impl_->request, &response);
  if (!status.ok()) Die("the gRPC call failed: " + status.error_message());
}

pid_t GrpcUnary::server() const { return impl_->server.pid(); }

void GrpcUnary::Serve(const std::string& socket) {
  Service service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) Die("gRPC does not listen at " + socket);
  server->Wait();
}

}  // namespace larder::bench
