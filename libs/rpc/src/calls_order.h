#pragma once
#include <grpcpp/server_builder.h>

#ifdef __SANITIZE_THREAD__
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_interceptor.h>

#include <memory>
#include <utility>
#include <vector>
#endif

#include "larder/rpc/happens_before.h"

// All calls of a server come after its start and end before its stop. The thread sanitizer is told so where gRPC asks
// for what a call needs, and where it gives that back: on the thread that runs the handler or OnDone, before the one
// and after the other. Nothing in other builds.
namespace larder::rpc {

#ifdef __SANITIZE_THREAD__
class CallBegins final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallBegins(void* server) : server_(server) {}
  // Nothing orders its own reading of the address.
  [[gnu::no_sanitize_thread]] grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo*) override {
    HappensAfter(server_);
    return nullptr;
  }

 private:
  void* const server_;
};

// For services with generated handlers; generic ones would need their own context.
class CallEnds final : public grpc::ContextAllocator {
 public:
  explicit CallEnds(void* ended) : ended_(ended) {}
  grpc::CallbackServerContext* NewCallbackServerContext() override { return new grpc::CallbackServerContext; }
  [[gnu::no_sanitize_thread]] void Release(grpc::CallbackServerContext* context) override {
    delete context;
    HappensBefore(ended_);
  }

 private:
  void* const ended_;
};

inline void CallsBegin(grpc::ServerBuilder& builder, void* server) {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> calls;
  calls.push_back(std::make_unique<CallBegins>(server));
  builder.experimental().SetInterceptorCreators(std::move(calls));
  builder.SetContextAllocator(std::make_unique<CallEnds>(static_cast<char*>(server) + 1));
  HappensBefore(server);
}
#else
// Before the server is built.
inline void CallsBegin(grpc::ServerBuilder&, void*) {}
#endif
// Once it has shut down.
inline void CallsHaveEnded(void* server) { HappensAfter(static_cast<char*>(server) + 1); }

}  // namespace larder::rpc
