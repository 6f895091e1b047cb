#include "src/link.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <thread>

#include "larder/base/status.h"

namespace larder::transport::uds {
namespace {

// A local answer takes about this long; sleeping and waking costs as much again.
constexpr auto kSpin = std::chrono::microseconds(15);
// Who waits for room while another thread reads looks so often whether that one still does.
constexpr auto kLookAgain = std::chrono::milliseconds(10);
// Answers of less than this are copied out of the reader's buffer rather than given it.
constexpr size_t kWorthABuffer = kMaxRecord / 4;

std::shared_ptr<std::byte[]> Memory(size_t size) { return std::make_shared_for_overwrite<std::byte[]>(size); }

bool WouldBlock(const absl::Status& status) { return base::Reason(status) == "WOULD_BLOCK"; }

// For poll(2): until `deadline`, -1 for ever.
int PollMs(base::Deadline deadline) {
  if (deadline == base::kNoDeadline) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1 << 30));
}

absl::Status NoAnswer() {
  return base::Error(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER", "the agent did not answer in time");
}

}  // namespace

Link::Link(base::UniqueFd fd, Absorber& absorber)
    : fd_(std::move(fd)),
      absorber_(absorber),
      spin_(std::thread::hardware_concurrency() > 1),
      buffer_(Memory(kMaxRecord)) {}

absl::Status Link::Lost() const {
  return base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "the connection to the agent has ended");
}

void Link::Break() {
  if (InChild()) return;
  broken_ = true;
  // Wakes a reader; the descriptor stays open until nobody can use it.
  ::shutdown(fd_.get(), SHUT_RDWR);
  base::MutexLock lock(mutex_);
  changed_.NotifyAll();
}

// ---- requests

absl::Status Link::Send(Op op, uint64_t id, base::ByteSpan payload, base::ByteSpan tail, base::Deadline deadline) {
  std::array<std::byte, kHeaderSize> head;
  EncodeHeader({.op = op, .request_id = id, .length = static_cast<uint32_t>(payload.size() + tail.size())},
               head.data());
  const std::array<base::ByteSpan, 3> parts{head, payload, tail};
  while (true) {
    absl::Status sent = SendUntold();
    if (sent.ok()) sent = SendRecord(fd_.get(), parts, {}, false);
    if (!WouldBlock(sent)) return sent;
    LARDER_RETURN_IF_ERROR(MakeRoom(deadline));
  }
}

absl::Status Link::MakeRoom(base::Deadline deadline) {
  const bool reads = BeginReading();
  const base::Deadline until = reads ? deadline : std::min(deadline, std::chrono::steady_clock::now() + kLookAgain);
  pollfd ready{.fd = fd_.get(), .events = static_cast<short>(reads ? POLLOUT | POLLIN : POLLOUT), .revents = 0};
  const int events = ::poll(&ready, 1, PollMs(until));
  if (reads) {
    absl::Status read;
    if ((ready.revents & POLLIN) != 0) read = ReadOne(base::Deadline::min());
    base::MutexLock lock(mutex_);
    EndReading(read, 0);
    if (!read.ok()) return read;
  }
  if (lost()) return Lost();
  if (events == 0 && std::chrono::steady_clock::now() >= deadline) return NoAnswer();
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Link::Start(Op op, base::ByteSpan payload, base::ByteSpan tail, Slot slot,
                                     base::Deadline deadline) {
  if (broken()) return Lost();
  if (!Fits(payload.size() + tail.size())) {
    return base::InvalidArgument("TOO_LONG", "a request of {} bytes with its names and tags; at most {} are sent",
                                 payload.size() + tail.size(), kMaxRecord - kHeaderSize);
  }
  const uint64_t id = next_id_.fetch_add(1, std::memory_order_relaxed);
  {
    base::MutexLock lock(mutex_);
    slots_[id] = std::move(slot);
  }
  absl::Status sent = Send(op, id, payload, tail, deadline);
  if (sent.ok()) return id;
  if (base::Reason(sent) == "CONNECTION_LOST" && !lost()) {
    // It may be gone because it said why: what came before the end is still there to read.
    hung_up_ = true;
    return id;
  }
  base::MutexLock lock(mutex_);
  slots_.erase(id);
  return sent;
}

absl::StatusOr<uint64_t> Link::Begin(Op op, base::ByteSpan payload, base::ByteSpan tail, bool absorb,
                                     base::Deadline deadline) {
  Slot slot;
  slot.absorb = absorb;
  return Start(op, payload, tail, std::move(slot), deadline);
}

absl::StatusOr<uint64_t> Link::BeginBatch(uint16_t count, base::ByteSpan items, bool absorb, base::Deadline deadline) {
  Slot slot;
  slot.absorb = absorb;
  slot.unanswered = count;
  return Start(Op::kBatch, std::as_bytes(std::span(&count, 1)), items, std::move(slot), deadline);
}

void Link::Tell(Op op, base::ByteSpan payload, base::ByteSpan tail) {
  if (broken()) return;
  std::array<std::byte, kHeaderSize> head;
  EncodeHeader({.op = op, .length = static_cast<uint32_t>(payload.size() + tail.size())}, head.data());
  const std::array<base::ByteSpan, 3> parts{head, payload, tail};
  if (SendUntold().ok() && !WouldBlock(SendRecord(fd_.get(), parts, {}, false))) return;
  std::vector<std::byte> record;
  for (const base::ByteSpan part : parts) record.insert(record.end(), part.begin(), part.end());
  base::MutexLock lock(mutex_);
  untold_.push_back(std::move(record));
  has_untold_.store(true, std::memory_order_relaxed);
}

void Link::TellAndWait(Op op, base::ByteSpan payload, base::Deadline deadline) {
  const absl::StatusOr<uint64_t> id = Begin(op, payload, {}, false, deadline);
  if (!id.ok()) return Tell(op, payload);
  Slot answered;
  Await(*id, deadline, answered, Late::kIsForgotten).IgnoreError();
}

absl::Status Link::SendUntold() {
  if (!has_untold_.load(std::memory_order_relaxed) || broken()) return absl::OkStatus();
  base::MutexLock lock(mutex_);
  while (!untold_.empty()) {
    absl::Status sent = SendRecord(fd_.get(), std::array{base::ByteSpan(untold_.front())}, {}, false);
    if (WouldBlock(sent)) return sent;
    untold_.pop_front();  // if it is not told, there is nobody to tell
  }
  has_untold_.store(false, std::memory_order_relaxed);
  return absl::OkStatus();
}

// ---- answers

bool Link::BeginReading() {
  base::MutexLock lock(mutex_);
  return !std::exchange(reading_, true);
}

void Link::EndReading(const absl::Status& read, size_t own) {
  reading_ = false;
  if (!read.ok()) broken_ = true;
  if (slots_.size() > own) changed_.NotifyAll();  // one of them has its answer, or must read now
}

absl::Status Link::ReadOne(base::Deadline deadline) {
  const base::MutableByteSpan buffer(buffer_.get(), kMaxRecord);
  absl::StatusOr<Received> received = ReceiveRecord(fd_.get(), buffer, false);
  if (!received.ok() && spin_ && deadline != base::Deadline::min()) {
    const auto until = std::chrono::steady_clock::now() + kSpin;
    while (!received.ok() && WouldBlock(received.status()) && std::chrono::steady_clock::now() < until) {
      received = ReceiveRecord(fd_.get(), buffer, false);
    }
  }
  while (!received.ok() && WouldBlock(received.status())) {
    if (std::chrono::steady_clock::now() >= deadline) return absl::OkStatus();
    pollfd waiting{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, PollMs(deadline));
    received = ReceiveRecord(fd_.get(), buffer, false);
  }
  if (!received.ok()) return received.status();
  return Deliver(*std::move(received));
}

absl::Status Link::Deliver(Received received) {
  if (received.truncated) return BadRecord("the agent's record is longer than any may be");
  const base::ByteSpan record(buffer_.get(), received.size);
  LARDER_ASSIGN_OR_RETURN(const Header header, DecodeHeader(record));
  const base::ByteSpan payload = record.subspan(kHeaderSize);
  // The agent's parting word concerns everybody.
  if (header.request_id == UINT64_MAX && header.code != 0) return TakeError(header.code, payload);
  if (header.request_id == 0) {
    absorber_.Notice(header.op, payload);
    return absl::OkStatus();
  }
  base::MutexLock lock(mutex_);
  auto it = slots_.find(header.request_id);
  if (it == slots_.end()) return absl::OkStatus();  // nobody waits any more
  Slot& slot = it->second;
  if (slot.unanswered > 0 && header.code == 0) return DeliverBatch(slot, payload, received.fds);
  slot.code = header.code;
  slot.reply.payload.assign(payload.begin(), payload.end());
  slot.reply.fds = std::move(received.fds);
  if (slot.absorb && header.code == 0) absorber_.Absorb(header.op, slot.reply.payload, slot.reply.fds);
  slot.done = true;
  return absl::OkStatus();
}

absl::Status Link::DeliverBatch(Slot& slot, base::ByteSpan payload, std::vector<base::UniqueFd>& fds) {
  base::ByteReader in(payload);
  const std::vector<BatchAnswer> answers = TakeBatchAnswers(in);
  LARDER_RETURN_IF_ERROR(Finished(in, "BATCH's answers"));
  if (answers.size() > slot.unanswered) return BadRecord("more answers than a BATCH has items");
  if (slot.absorb && !fds.empty()) {
    for (const BatchAnswer& answer : answers) {
      if (answer.code == 0) absorber_.Absorb(Op::kGet, answer.payload, fds);
    }
  }
  std::shared_ptr<std::byte[]> memory;
  if (payload.size() < kWorthABuffer) {
    memory = Memory(payload.size());
    std::memcpy(memory.get(), payload.data(), payload.size());
    payload = {memory.get(), payload.size()};
  } else {
    memory = std::exchange(buffer_, Memory(kMaxRecord));
  }
  slot.answers.push_back({.memory = std::move(memory), .payload = payload});
  slot.unanswered -= answers.size();
  slot.done = slot.unanswered == 0;
  return absl::OkStatus();
}

void Link::ReadWhatCame() {
  if (broken() || !BeginReading()) return;
  absl::Status read;
  pollfd waiting{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  while (read.ok() && ::poll(&waiting, 1, 0) > 0) read = ReadOne(base::Deadline::min());
  base::MutexLock lock(mutex_);
  EndReading(read, 0);
}

bool Link::AtEnd() const {
  pollfd hung_up{.fd = fd_.get(), .events = POLLRDHUP, .revents = 0};
  return broken() || ::poll(&hung_up, 1, 0) > 0;
}

absl::Status Link::Await(uint64_t id, base::Deadline deadline, Slot& slot, Late late) {
  if (InChild()) return Lost();  // the answer is the parent's
  base::MutexLock lock(mutex_);
  absl::Status ended;
  while (true) {
    auto it = slots_.find(id);
    if (it == slots_.end()) return Lost();
    const bool done = it->second.done;
    if (!done && ended.ok()) {
      if (lost()) {
        ended = Lost();
      } else if (std::chrono::steady_clock::now() >= deadline) {
        ended = NoAnswer();
        if (late == Late::kBreaks) {
          broken_ = true;
          ::shutdown(fd_.get(), SHUT_RDWR);
          changed_.NotifyAll();
        }
      }
    }
    if (done || !ended.ok()) {
      slot = std::move(it->second);
      slots_.erase(it);
      return done ? absl::OkStatus() : ended;
    }
    if (reading_) {
      deadline == base::kNoDeadline ? changed_.Wait(mutex_) : (void)changed_.WaitUntil(mutex_, deadline);
      continue;
    }
    reading_ = true;
    mutex_.Unlock();
    ended = ReadOne(deadline);
    mutex_.Lock();
    EndReading(ended, 1);
  }
}

absl::StatusOr<Reply> Link::Wait(uint64_t id, base::Deadline deadline) {
  Slot slot;
  LARDER_RETURN_IF_ERROR(Await(id, deadline, slot));
  if (slot.code != 0) return TakeError(slot.code, slot.reply.payload);
  return std::move(slot.reply);
}

absl::Status Link::WaitBatch(uint64_t id, base::Deadline deadline, std::vector<Record>& answers) {
  Slot slot;
  const absl::Status ended = Await(id, deadline, slot);
  std::move(slot.answers.begin(), slot.answers.end(), std::back_inserter(answers));
  if (ended.ok() && slot.code != 0) return TakeError(slot.code, slot.reply.payload);
  return ended;
}

absl::StatusOr<Reply> Link::Call(Op op, base::ByteSpan payload, base::Deadline deadline, base::ByteSpan tail,
                                 bool absorb) {
  LARDER_ASSIGN_OR_RETURN(const uint64_t id, Begin(op, payload, tail, absorb, deadline));
  return Wait(id, deadline);
}

}  // namespace larder::transport::uds
