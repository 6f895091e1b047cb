#include "src/link.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "larder/base/status.h"

namespace larder::transport::uds {
namespace {

// A local answer takes about this long; sleeping and waking costs as much again.
constexpr auto kSpin = std::chrono::microseconds(15);

}  // namespace

Link::Link(base::UniqueFd fd, Absorber& absorber)
    : fd_(std::move(fd)),
      absorber_(absorber),
      owner_pid_(::getpid()),
      spin_(std::thread::hardware_concurrency() > 1),
      buffer_(kMaxRecord) {}

absl::Status Link::Lost() const {
  return base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "the connection to the agent has ended");
}

void Link::Break() {
  broken_ = true;
  // Wakes a reader; the descriptor stays open until nobody can use it.
  if (::getpid() == owner_pid_) ::shutdown(fd_.get(), SHUT_RDWR);
  base::MutexLock lock(mutex_);
  changed_.NotifyAll();
}

absl::Status Link::Send(Op op, uint64_t id, base::ByteSpan payload, base::ByteSpan tail) {
  if (broken() || ::getpid() != owner_pid_) return Lost();
  std::array<std::byte, kHeaderSize> head;
  EncodeHeader({.op = op, .request_id = id, .length = static_cast<uint32_t>(payload.size() + tail.size())},
               head.data());
  const std::array<base::ByteSpan, 3> parts{head, payload, tail};
  return SendRecord(fd_.get(), parts, {}, true);
}

absl::StatusOr<uint64_t> Link::Begin(Op op, base::ByteSpan payload, base::ByteSpan tail, bool absorb) {
  const uint64_t id = next_id_.fetch_add(1, std::memory_order_relaxed);
  {
    base::MutexLock lock(mutex_);
    slots_[id].absorb = absorb;
  }
  if (absl::Status sent = Send(op, id, payload, tail); !sent.ok()) {
    // It may be gone because it said why: what came before the end is still there to read.
    if (!broken() && ::getpid() == owner_pid_) return id;
    base::MutexLock lock(mutex_);
    slots_.erase(id);
    return sent;
  }
  return id;
}

void Link::Tell(Op op, base::ByteSpan payload) { Send(op, 0, payload, {}).IgnoreError(); }

absl::Status Link::ReadOne(base::Deadline deadline) {
  absl::StatusOr<Received> received = ReceiveRecord(fd_.get(), buffer_, false);
  if (!received.ok() && spin_) {
    const auto until = std::chrono::steady_clock::now() + kSpin;
    while (!received.ok() && base::Reason(received.status()) == "WOULD_BLOCK" &&
           std::chrono::steady_clock::now() < until) {
      received = ReceiveRecord(fd_.get(), buffer_, false);
    }
  }
  while (!received.ok() && base::Reason(received.status()) == "WOULD_BLOCK") {
    int wait_ms = -1;
    if (deadline != base::kNoDeadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return absl::OkStatus();
      wait_ms = static_cast<int>(std::min<int64_t>(left.count(), 1 << 30));
    }
    pollfd waiting{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, wait_ms);
    received = ReceiveRecord(fd_.get(), buffer_, false);
  }
  if (!received.ok()) return received.status();
  if (received->truncated) return BadRecord("the agent's record is longer than any may be");
  const base::ByteSpan record(buffer_.data(), received->size);
  LARDER_ASSIGN_OR_RETURN(const Header header, DecodeHeader(record));
  const base::ByteSpan payload = record.subspan(kHeaderSize);
  // The agent's parting word concerns everybody.
  if (header.request_id == UINT64_MAX && header.code != 0) return TakeError(header.code, payload);
  base::MutexLock lock(mutex_);
  auto it = slots_.find(header.request_id);
  if (it == slots_.end()) return absl::OkStatus();  // nobody waits any more
  Slot& slot = it->second;
  slot.code = header.code;
  slot.reply.payload.assign(payload.begin(), payload.end());
  slot.reply.fds = std::move(received->fds);
  if (slot.absorb && header.code == 0) absorber_.Absorb(header.op, slot.reply);
  slot.done = true;
  return absl::OkStatus();
}

absl::StatusOr<Reply> Link::Wait(uint64_t id, base::Deadline deadline) {
  base::MutexLock lock(mutex_);
  while (true) {
    auto it = slots_.find(id);
    if (it == slots_.end()) return Lost();
    if (it->second.done) {
      Slot slot = std::move(it->second);
      slots_.erase(it);
      if (slot.code != 0) return TakeError(slot.code, slot.reply.payload);
      return std::move(slot.reply);
    }
    if (broken()) {
      slots_.erase(it);
      return Lost();
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      slots_.erase(it);
      broken_ = true;
      ::shutdown(fd_.get(), SHUT_RDWR);
      changed_.NotifyAll();
      return base::Error(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER", "the agent did not answer in time");
    }
    if (reading_) {
      deadline == base::kNoDeadline ? changed_.Wait(mutex_) : (void)changed_.WaitUntil(mutex_, deadline);
      continue;
    }
    reading_ = true;
    mutex_.Unlock();
    const absl::Status read = ReadOne(deadline);
    mutex_.Lock();
    reading_ = false;
    if (slots_.size() > 1) changed_.NotifyAll();  // one of them has its answer, or must read now
    if (!read.ok()) {
      broken_ = true;
      slots_.erase(id);
      changed_.NotifyAll();
      return read;
    }
  }
}

absl::StatusOr<Reply> Link::Call(Op op, base::ByteSpan payload, base::Deadline deadline, base::ByteSpan tail,
                                 bool absorb) {
  LARDER_ASSIGN_OR_RETURN(const uint64_t id, Begin(op, payload, tail, absorb));
  return Wait(id, deadline);
}

}  // namespace larder::transport::uds
