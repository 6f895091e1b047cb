#pragma once
#include <filesystem>
#include <memory>
#include <string>

namespace grpc {
class Channel;
}

namespace larder::rpc {

// Largest message that is sent or received, request or answer; bytes beyond it go in streams or pieces.
inline constexpr int kMaxMessageBytes = 5 << 20;

// A channel to HOST:PORT or to a Unix socket. Connects when first used and reconnects by itself, within two seconds of
// the server's return; a server has a second to answer, before that counts as a failure. HTTP proxies of the
// environment are not for us. Never fails: calls do, with UNAVAILABLE without a reason. Thread-safe.
std::shared_ptr<grpc::Channel> Dial(const std::string& address);
std::shared_ptr<grpc::Channel> DialUnix(const std::filesystem::path& path);

}  // namespace larder::rpc
