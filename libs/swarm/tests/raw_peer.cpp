#include "tests/raw_peer.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>

#include "larder/base/sockets.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::swarm {

RawPeer::RawPeer(const std::string& address) {
  const base::UniqueFd never = base::MakeWake();
  auto fd = base::Dial(address, std::chrono::seconds(10), never.get());
  EXPECT_THAT(fd, base::IsOk());
  if (fd.ok()) fd_ = *std::move(fd);
}

RawPeer::RawPeer(const base::UniqueFd& listener) {
  pollfd polled{.fd = listener.get(), .events = POLLIN};
  ::poll(&polled, 1, -1);
  fd_ = base::Accept(listener.get());
  EXPECT_TRUE(static_cast<bool>(fd_));
}

RawPeer RawPeer::Of(base::UniqueFd connected) {
  RawPeer peer;
  peer.fd_ = std::move(connected);
  return peer;
}

void RawPeer::Reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd_.Reset();
}

void RawPeer::Say(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t size = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0 && errno != EAGAIN) return;  // closed: what comes back says why
    if (size > 0) bytes.remove_prefix(static_cast<size_t>(size));
  }
}

bool RawPeer::Fill(size_t size) {
  std::array<char, 65536> bytes;
  while (in_.size() < size) {
    pollfd polled{.fd = fd_.get(), .events = POLLIN};
    ::poll(&polled, 1, -1);
    const ssize_t got = ::recv(fd_.get(), bytes.data(), std::min(bytes.size(), size - in_.size()), 0);
    if (got <= 0) return false;
    in_.append(bytes.data(), static_cast<size_t>(got));
  }
  return true;
}

std::optional<RawPeer::Frame> RawPeer::Next() {
  if (!Fill(kHeaderSize)) return std::nullopt;
  const auto header = DecodeHeader(base::AsBytes(in_));
  EXPECT_THAT(header, base::IsOk());
  if (!header.ok() || !Fill(kHeaderSize + header->length)) return std::nullopt;
  Frame frame{.header = *header, .payload = in_.substr(kHeaderSize)};
  in_.clear();
  return frame;
}

std::optional<absl::Status> RawPeer::NextError() {
  while (auto frame = Next()) {
    if (frame->header.kind != FrameKind::kError) continue;
    const auto error = DecodeError(base::AsBytes(frame->payload));
    EXPECT_THAT(error, base::IsOk());
    return StatusOf(*error);
  }
  return std::nullopt;
}

}  // namespace larder::swarm
