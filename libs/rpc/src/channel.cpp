#include "larder/rpc/channel.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

namespace larder::rpc {
namespace {

constexpr int kFirstReconnectMs = 100;
constexpr int kSlowestReconnectMs = 2000;
// How long an attempt has at least, greeting included: a busy server takes longer than the first pause.
constexpr int kShortestAttemptMs = 1000;

std::shared_ptr<grpc::Channel> DialTarget(const std::string& target) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Probes of the bandwidth-delay product are pings that wake both sides after each small message.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kShortestAttemptMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kSlowestReconnectMs);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

std::shared_ptr<grpc::Channel> Dial(const std::string& address) { return DialTarget(address); }

std::shared_ptr<grpc::Channel> DialUnix(const std::filesystem::path& path) {
  return DialTarget("unix:" + path.native());
}

}  // namespace larder::rpc
