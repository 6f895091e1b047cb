#include "src/child_connection.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "larder/base/digest.h"
#include "larder/base/sockets.h"
#include "larder/base/status.h"

namespace larder::swarm {
namespace {

// What a connection reads before others have their turn.
constexpr int kReadsInTurn = 8;
constexpr size_t kReadSize = 16 * base::kKiB;

absl::Status Disconnected(std::string_view why) {
  return base::Error(absl::StatusCode::kUnavailable, "DISCONNECTED", "{}", why);
}

}  // namespace

void ChildConnection::End(const absl::Status& why) {
  if (std::exchange(ended_, true)) return;
  TellPart();
  machine_.OnClosed(id_, why, parts_.clock.Now());
}

void ChildConnection::Malformed(const absl::Status& why) {
  if (!std::exchange(ended_, true)) machine_.OnMalformed(id_, why, parts_.clock.Now());
}

void ChildConnection::OnReady(bool input, bool output) {
  if (ended_) return;
  if (!connected_) {
    if (const absl::Status outcome = base::DialOutcome(fd_.get(), address_); !outcome.ok()) {
      End(outcome);
      return;
    }
    connected_ = true;
    machine_.OnConnected(id_, parts_.clock.Now());
  }
  if (input) Read();
  if (output) Send();
}

void ChildConnection::Resume() {
  paused_until_ = base::kNoDeadline;
  machine_.OnResumed(id_, parts_.clock.Now());
  Read();
}

void ChildConnection::Send() {
  if (!connected_ || ended_ || out_.empty()) return;
  const ssize_t size = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
  if (size >= 0) {
    out_.erase(0, static_cast<size_t>(size));
  } else if (errno != EAGAIN && errno != EINTR) {
    End(Disconnected(base::Message(base::ErrnoError(errno, "send to a parent"))));
  }
}

void ChildConnection::Read() {
  for (int i = 0; i < kReadsInTurn && !ended_; ++i) {
    const Got got = chunk_ ? ReadData() : ReadFrame();
    if (got != Got::kSome) return;
    while (!ended_ && !chunk_ && NextFrame()) {
    }
  }
}

ChildConnection::Got ChildConnection::Take(ssize_t size) {
  if (size > 0) return Got::kSome;
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return Got::kNothing;
  End(Disconnected(size == 0 ? "closed by the parent" : base::Message(base::ErrnoError(errno, "receive"))));
  return Got::kEnded;
}

ChildConnection::Got ChildConnection::ReadFrame() {
  std::array<std::byte, kReadSize> bytes;
  // Not more than the frame has, and the head of a PIECE: data are read to where they belong.
  const size_t most = std::min(bytes.size(), MissingOfFrame());
  const ssize_t size = ::recv(fd_.get(), bytes.data(), most, 0);
  const Got got = Take(size);
  if (got != Got::kSome) return got;
  machine_.OnBytes(id_, parts_.clock.Now());
  in_.insert(in_.end(), bytes.begin(), bytes.begin() + size);
  return got;
}

size_t ChildConnection::MissingOfFrame() const {
  if (in_.size() >= kHeaderSize) {
    if (const auto header = DecodeHeader(in_); header.ok() && header->kind != FrameKind::kPiece) {
      return kHeaderSize + header->length - in_.size();
    }
  }
  return kPieceHeaderSize - in_.size();
}

bool ChildConnection::NextFrame() {
  if (in_.size() < kHeaderSize) return false;
  const auto header = DecodeHeader(in_);
  if (!header.ok()) {
    Malformed(header.status());
    return false;
  }
  if (header->kind == FrameKind::kPiece) {
    if (in_.size() < kPieceHeaderSize) return false;
    const auto frame = DecodePiece(base::ByteSpan(in_).subspan(kHeaderSize, kPieceFieldsSize));
    if (!frame.ok()) {
      Malformed(frame.status());
      return false;
    }
    chunk_ = Chunk{.frame = *frame, .size = header->length - static_cast<uint32_t>(kPieceFieldsSize)};
    if ((header->flags & kFlagged) != 0) chunk_->expected = header->crc;
    in_.erase(in_.begin(), in_.begin() + kPieceHeaderSize);
    return false;
  }
  const auto frame = NextControl(in_);
  if (!frame.ok()) {
    Malformed(frame.status());
    return false;
  }
  if (!*frame) return false;
  machine_.OnFrame(id_, **frame, parts_.clock.Now());
  in_.erase(in_.begin(), in_.begin() + static_cast<ptrdiff_t>(kHeaderSize + (*frame)->payload.size()));
  return true;
}

ChildConnection::Got ChildConnection::ReadData() {
  const auto room = machine_.Room(id_, chunk_->frame, chunk_->part, chunk_->size);
  if (!room.ok()) {
    Malformed(room.status());
    return Got::kEnded;
  }
  const RateLimiter::Grant grant = parts_.limiter.Take(class_, chunk_->size, parts_.clock.Now());
  if (grant.bytes == 0) {
    paused_until_ = grant.try_again;
    machine_.OnPaused(id_, parts_.clock.Now());
    return Got::kNothing;
  }
  std::array<std::byte, kReadSize> unwanted;
  std::array<std::byte, kPieceHeaderSize> head;
  const base::MutableByteSpan place =
      room->empty() ? std::span(unwanted).first(std::min<size_t>(unwanted.size(), chunk_->size)) : *room;
  // With the last data comes the head of what follows: one call of the kernel a frame.
  std::array<iovec, 2> parts{};
  parts[0] = {.iov_base = place.data(), .iov_len = place.size()};
  parts[1] = {.iov_base = head.data(), .iov_len = place.size() == chunk_->size ? head.size() : 0};
  const ssize_t size = ::readv(fd_.get(), parts.data(), parts.size());
  const auto data = static_cast<uint32_t>(std::min<size_t>(size > 0 ? static_cast<size_t>(size) : 0, place.size()));
  parts_.limiter.GiveBack(class_, grant.bytes - data);
  const Got got = Take(size);
  if (got != Got::kSome) return got;
  parts_.metrics.Moved(Direction::kIn, data);
  in_.insert(in_.end(), head.begin(), head.begin() + (size - data));
  DataCame(room->empty() ? base::MutableByteSpan() : place, data);
  return Got::kSome;
}

void ChildConnection::DataCame(base::MutableByteSpan room, uint32_t size) {
  chunk_->size -= size;
  if (room.empty()) {
    parts_.metrics.DuplicateBytes(size);
    if (chunk_->size == 0) chunk_.reset();
    return;
  }
  machine_.OnWanted(id_, parts_.clock.Now());
  chunk_->crc = base::Crc32c(room.first(size), chunk_->crc);
  chunk_->part += size;
  if (chunk_->size > 0) return;
  if (chunk_->expected && *chunk_->expected != chunk_->crc) {
    ended_ = true;
    machine_.OnDamaged(id_, parts_.clock.Now());
    return;
  }
  const Chunk whole = *std::exchange(chunk_, std::nullopt);
  machine_.OnData(id_, whole.frame, whole.part, whole.crc, parts_.clock.Now());
}

void ChildConnection::TellPart() {
  if (!chunk_ || chunk_->part == 0) return;
  const PieceFrame told = chunk_->frame;
  const uint32_t size = std::exchange(chunk_->part, 0);
  const uint32_t crc = std::exchange(chunk_->crc, 0);
  chunk_->frame.offset += size;
  chunk_->expected.reset();  // was of all data; what the manifest says of the piece still holds
  const auto room = machine_.Room(id_, told, 0, size);
  if (room.ok() && !room->empty()) machine_.OnData(id_, told, size, crc, parts_.clock.Now());
}

}  // namespace larder::swarm
