#pragma once
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "larder/base/mutex.h"
#include "larder/base/status.h"
#include "larder/rpc/status.h"
#include "larder/rpc/testing/echo.grpc.pb.h"
#include "larder/rpc/unary.h"

namespace larder::rpc {

// Answers Say by what OnSay was given; unless it was, with the request's text or the error it asks for.
class EchoService : public testing::Echo::CallbackService {
 public:
  using Handler = std::function<Reactor*(Context*, const testing::SayRequest*, testing::SayResponse*)>;

  static absl::Status Answer(const testing::SayRequest& request, testing::SayResponse& response) {
    if (request.code() != 0) {
      return base::MakeError(static_cast<absl::StatusCode>(request.code()), request.reason(),
                             "as asked: " + request.text());
    }
    response.set_text(request.text());
    return absl::OkStatus();
  }

  Reactor* Say(Context* context, const testing::SayRequest* request, testing::SayResponse* response) override {
    Handler handler;
    {
      base::MutexLock lock(mutex_);
      handler = handler_;
    }
    if (handler) return handler(context, request, response);
    return Unary(context, [&] { return Answer(*request, *response); });
  }
  // Of calls that begin from now on.
  void OnSay(Handler handler) {
    base::MutexLock lock(mutex_);
    handler_ = std::move(handler);
  }

 private:
  base::Mutex mutex_;
  Handler handler_ LARDER_GUARDED_BY(mutex_);
};

inline absl::StatusOr<std::string> Say(const std::shared_ptr<grpc::Channel>& channel,
                                       const testing::SayRequest& request, grpc::ClientContext& context) {
  testing::SayResponse response;
  const grpc::Status status = testing::Echo::NewStub(channel)->Say(&context, request, &response);
  if (!status.ok()) return FromGrpc(status, context);
  return response.text();
}
inline absl::StatusOr<std::string> Say(const std::shared_ptr<grpc::Channel>& channel, const std::string& text) {
  testing::SayRequest request;
  request.set_text(text);
  grpc::ClientContext context;
  return Say(channel, request, context);
}

}  // namespace larder::rpc
