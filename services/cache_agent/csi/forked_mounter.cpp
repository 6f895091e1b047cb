#include "csi/forked_mounter.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "larder/base/sockets.h"
#include "larder/base/status.h"

namespace larder::cache_agent::csi {
namespace {

absl::Status Ended() {
  return base::Error(absl::StatusCode::kUnavailable, "NO_MOUNTER", "the agent's mounter has ended, or does not answer");
}

std::string Task(const MounterRequest& request) {
  const std::string volume = " volume " + request.place.name + " of pod " + request.place.pod_uid;
  switch (request.op) {
    case MounterOp::kMount:
      return "mount" + volume;
    case MounterOp::kUnmount:
      return "unmount" + volume;
    case MounterOp::kLook:
      return "look at" + volume;
    case MounterOp::kRegister:
    case MounterOp::kUnregister:
      break;
  }
  return "name the registration socket";
}

}  // namespace

ForkedMounter::ForkedMounter(base::UniqueFd fd, base::Duration patience) : fd_(std::move(fd)) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(patience).count();
  const timeval limit = {.tv_sec = micros / 1'000'000, .tv_usec = micros % 1'000'000};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

ForkedMounter::~ForkedMounter() {
  if (!watch_.joinable()) return;
  base::Wake(stop_.get());
  watch_.join();
}

void ForkedMounter::OnEnd(std::function<void()> ended) {
  stop_ = base::MakeWake();
  watch_ = std::thread([this, ended = std::move(ended)] {
    // Answers are left to who asked.
    std::array<pollfd, 2> wait = {{{.fd = fd_.get(), .events = POLLRDHUP}, {.fd = stop_.get(), .events = POLLIN}}};
    while (::poll(wait.data(), wait.size(), -1) < 0) {
    }
    if (wait[1].revents == 0) ended();
  });
  ::pthread_setname_np(watch_.native_handle(), "larder-mounter");
}

absl::Status ForkedMounter::Mount(const Place& place) {
  return Ask({.op = MounterOp::kMount, .place = place}).status();
}
absl::Status ForkedMounter::Unmount(const Place& place) {
  return Ask({.op = MounterOp::kUnmount, .place = place}).status();
}
absl::StatusOr<MountState> ForkedMounter::Look(const Place& place) {
  LARDER_ASSIGN_OR_RETURN(const MounterReply reply, Ask({.op = MounterOp::kLook, .place = place}));
  return reply.state;
}
absl::Status ForkedMounter::Register() { return Ask({.op = MounterOp::kRegister, .place = {}}).status(); }
absl::Status ForkedMounter::Unregister() { return Ask({.op = MounterOp::kUnregister, .place = {}}).status(); }

absl::StatusOr<MounterReply> ForkedMounter::Ask(const MounterRequest& request) {
  const MounterRequestRecord record = EncodeRequest(request);
  MounterReplyRecord answer{};
  {
    base::MutexLock lock(mutex_);
    if (::send(fd_.get(), record.data(), record.size(), MSG_NOSIGNAL) < 0) return Ended();
    ssize_t size = 0;
    while ((size = ::recv(fd_.get(), answer.data(), answer.size(), 0)) < 0 && errno == EINTR) {
    }
    if (size <= 0) {
      ::shutdown(fd_.get(), SHUT_RDWR);
      return Ended();
    }
  }
  LARDER_ASSIGN_OR_RETURN(const MounterReply reply, DecodeReply(answer));
  if (reply.error == 0) return reply;
  return base::ErrnoError(reply.error, Task(request));
}

}  // namespace larder::cache_agent::csi
