#pragma once

namespace larder::rpc {

// Sent of a stream before its reader has taken any. Fixed: gRPC would find one by probes of the bandwidth-delay product
// (GRPC_ARG_HTTP2_BDP_PROBE), pings that wake both sides after each small message. 1 MiB fills 1 GB/s at 1 ms.
inline constexpr int kWindowBytes = 1 << 20;

}  // namespace larder::rpc
