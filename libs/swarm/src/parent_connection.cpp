#include "src/parent_connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "larder/base/digest.h"
#include "larder/base/status.h"

namespace larder::swarm {
namespace {

// What a connection sends before others have their turn.
constexpr uint64_t kShare = base::kMiB;
// What waits in the kernel beyond what is on the wire: a cancelled request has no more than this behind it.
constexpr int kUnsent = kMaxChunk;
// HAVE waits while so much is not read.
constexpr size_t kMaxQueuedControl = 64 * base::kKiB;

absl::Status SocketError(std::string_view what) {
  if (errno == ECONNRESET || errno == EPIPE || errno == ETIMEDOUT) return absl::CancelledError();
  return base::ErrnoError(errno, what);
}

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

ParentConnection::ParentConnection(base::UniqueFd fd, ServerState& state, std::function<void()> pieces_changed)
    : fd_(std::move(fd)),
      state_(state),
      pieces_changed_(std::move(pieces_changed)),
      accepted_(state.parts.clock.Now()),
      heard_(accepted_),
      sent_(accepted_) {
  ++state_.connections;
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsent, sizeof kUnsent);
}

ParentConnection::~ParentConnection() {
  StopPending();
  CountWaiting(0);
  --state_.connections;
}

void ParentConnection::CountWaiting(size_t requests) {
  if (requests > counted_) state_.waiting += requests - counted_;
  if (requests < counted_) state_.waiting -= counted_ - requests;
  counted_ = requests;
}

void ParentConnection::StopPending() {
  if (std::exchange(pending_, false)) --state_.pending;
}

absl::Status ParentConnection::Read() {
  const ssize_t size = ::recv(fd_.get(), in_.data() + in_size_, in_.size() - in_size_, 0);
  if (size == 0) return absl::CancelledError();
  if (size < 0) return WouldBlock() ? absl::OkStatus() : SocketError("receive from a child");
  in_size_ += static_cast<size_t>(size);
  heard_ = state_.parts.clock.Now();
  LARDER_RETURN_IF_ERROR(HandleFrames());
  return Send();
}

absl::Status ParentConnection::HandleFrames() {
  base::ByteSpan rest = std::span(in_).first(in_size_);
  while (true) {
    LARDER_ASSIGN_OR_RETURN(const std::optional<ControlFrame> frame, NextControl(rest));
    if (!frame) break;
    LARDER_RETURN_IF_ERROR(Handle(*frame));
    rest = rest.subspan(kHeaderSize + frame->payload.size());
  }
  if (rest.size() == in_.size()) return BadFrame("a frame that is too long for a child");
  std::memmove(in_.data(), rest.data(), rest.size());
  in_size_ = rest.size();
  return absl::OkStatus();
}

void ParentConnection::HearLast() {
  while (true) {
    const ssize_t size = ::recv(fd_.get(), in_.data() + in_size_, in_.size() - in_size_, MSG_DONTWAIT);
    if (size <= 0) return;
    in_size_ += static_cast<size_t>(size);
    if (!HandleFrames().ok()) return;
  }
}

absl::Status ParentConnection::Handle(const ControlFrame& frame) {
  const FrameKind kind = frame.header.kind;
  if (kind == FrameKind::kError) return absl::CancelledError();
  if (ticket_.has_value() == (kind == FrameKind::kHello)) return BadFrame("HELLO is the first frame, and the only one");
  if (kind == FrameKind::kHello) return HandleHello(frame.payload);
  if (object_.has_value() == (kind == FrameKind::kOpen)) return BadFrame("OPEN is the second frame, and the only one");
  if (kind == FrameKind::kOpen) return HandleOpen(frame);
  if (kind == FrameKind::kGet) return HandleGet(frame.payload);
  if (kind == FrameKind::kCancel) return HandleCancel(frame.payload);
  if (kind == FrameKind::kDoubt) return HandleDoubt(frame.payload);
  return BadFrame("a frame that is a parent's");
}

absl::Status ParentConnection::HandleHello(base::ByteSpan payload) {
  LARDER_ASSIGN_OR_RETURN(const HelloFrame hello, DecodeHello(payload));
  LARDER_ASSIGN_OR_RETURN(ticket_,
                          state_.parts.tickets.Verify(base::AsBytes(hello.ticket), state_.parts.clock.WallNow()));
  class_ = hello.transfer_class;
  StopPending();
  if (state_.connections > state_.options.connection_limit) {
    return base::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_CONNECTIONS", "more than {} connections",
                       state_.options.connection_limit);
  }
  return absl::OkStatus();
}

absl::Status ParentConnection::HandleOpen(const ControlFrame& frame) {
  LARDER_ASSIGN_OR_RETURN(const OpenFrame open, DecodeOpen(frame.payload, frame.header.flags));
  const NodeEpoch own{state_.node_epoch};
  if (own.value == 0 || open.node_epoch != own || ticket_->parent != own) {
    return base::Error(absl::StatusCode::kAborted, "NODE_EPOCH_STALE", "node epoch {} was asked, it is {}",
                       open.node_epoch.value, own.value);
  }
  if (open.epoch != ticket_->epoch) {
    return base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "epoch {} was asked, the ticket is for {}",
                       open.epoch.value, ticket_->epoch.value);
  }
  LARDER_ASSIGN_OR_RETURN(object_, state_.parts.source.Find(ticket_->id, open.epoch, open.piece_length));
  node_epoch_ = own;
  const uint32_t pieces = object_->manifest->piece_count();
  if (object_->pieces != nullptr) listening_ = object_->pieces->Listen(pieces_changed_);
  if (object_->pieces == nullptr && open.super_seeding) {
    seat_ = state_.super_seeders.Join(ticket_->id, open.epoch, object_->manifest->piece_length, pieces, pieces_changed_,
                                      state_.parts.clock.Now());
  }
  const bool complete = seat_ == nullptr && (object_->pieces == nullptr || object_->pieces->held().full());
  control_ += EncodeManifestFrame(*object_->manifest, complete, seat_ != nullptr);
  told_held_ = complete ? PieceSet::All(pieces) : PieceSet(pieces);
  told_arriving_ = PieceSet(pieces);
  QueuePieces();
  return absl::OkStatus();
}

absl::Status ParentConnection::HandleGet(base::ByteSpan payload) {
  LARDER_ASSIGN_OR_RETURN(const GetFrame get, DecodeGet(payload));
  if (node_epoch_.value != state_.node_epoch) {
    return base::Error(absl::StatusCode::kAborted, "NODE_EPOCH_STALE", "node epoch {} was opened, it is {} now",
                       node_epoch_.value, state_.node_epoch.load());
  }
  const Manifest& manifest = *object_->manifest;
  if (uint64_t{get.run.first} + get.run.count > manifest.piece_count()) return BadFrame("a GET beyond the last piece");
  if (get.start >= manifest.SizeOf(get.run.first)) return BadFrame("a GET that starts beyond its piece");
  if (requests_.size() >= state_.options.requests_limit) return BadFrame("too many requests that wait");
  requests_.push_back({.number = get.request, .piece = get.run.first, .pieces = get.run.count, .offset = get.start});
  if (seat_ != nullptr) seat_->Asked(get.run, heard_);
  return absl::OkStatus();
}

absl::Status ParentConnection::HandleCancel(base::ByteSpan payload) {
  LARDER_ASSIGN_OR_RETURN(const CancelFrame cancel, DecodeCancel(payload));
  std::erase_if(requests_, [&](const Request& request) { return request.number == cancel.request; });
  return absl::OkStatus();
}

absl::Status ParentConnection::HandleDoubt(base::ByteSpan payload) {
  LARDER_ASSIGN_OR_RETURN(const DoubtFrame doubt, DecodeDoubt(payload));
  const Manifest& manifest = *object_->manifest;
  if (doubt.piece >= manifest.piece_count()) return BadFrame("a DOUBT of a piece beyond the last");
  state_.parts.source.Doubt(ticket_->id, ticket_->epoch, manifest.OffsetOf(doubt.piece), manifest.SizeOf(doubt.piece));
  // One a connection: it costs its parent no more than a GET.
  return absl::CancelledError();
}

PieceMap::State ParentConnection::StateOf(uint32_t piece) const {
  return object_->pieces == nullptr ? PieceMap::State::kHeld : object_->pieces->at(piece);
}

absl::Status ParentConnection::TellPieces() {
  QueuePieces();
  return Send();
}

void ParentConnection::QueuePieces() {
  if (!object_ || told_held_.full() || control_.size() > kMaxQueuedControl) return;
  const PieceSet held = seat_ != nullptr ? seat_->told() : object_->pieces->held();
  const PieceSet arriving = seat_ != nullptr ? PieceSet(held.size()) : object_->pieces->arriving();
  const auto tell = [&](PieceMap::State state, auto changed) {
    PieceSet pieces(held.size());
    for (uint32_t piece = 0; piece < held.size(); ++piece) {
      if (changed(piece)) pieces.Add(piece);
    }
    control_ += EncodeHave(state, pieces.Runs());
  };
  tell(PieceMap::State::kHeld, [&](uint32_t piece) { return held.Has(piece) && !told_held_.Has(piece); });
  tell(PieceMap::State::kArriving, [&](uint32_t piece) { return arriving.Has(piece) && !told_arriving_.Has(piece); });
  tell(PieceMap::State::kAbsent,
       [&](uint32_t piece) { return told_arriving_.Has(piece) && !arriving.Has(piece) && !held.Has(piece); });
  told_held_ = held;
  told_arriving_ = arriving;
}

void ParentConnection::EndRequest(const Request& request, std::string_view reason, std::string_view what) {
  control_ += EncodeError(request.number,
                          base::Error(absl::StatusCode::kNotFound, reason, "piece {}: {}", request.piece, what));
  requests_.pop_front();
}

bool ParentConnection::PrepareNext() {
  if (requests_.empty()) return false;
  Request& request = requests_.front();
  switch (StateOf(request.piece)) {
    case PieceMap::State::kAbsent:
      EndRequest(request, "NO_PIECE", "not here");
      return true;
    case PieceMap::State::kArriving:
      return false;  // until PieceMap says that it changed
    case PieceMap::State::kHeld:
      break;
  }
  const Manifest& manifest = *object_->manifest;
  // Who hears nothing for two seconds leaves: under a limit smaller frames come more often.
  const uint64_t most =
      std::min(state_.parts.limiter.Portion(kMaxChunk), uint64_t{manifest.SizeOf(request.piece) - request.offset});
  const PieceBytes::Stretch stretch = object_->bytes->At(manifest.OffsetOf(request.piece) + request.offset, most);
  if (stretch.size == 0 && StateOf(request.piece) == PieceMap::State::kArriving) return false;  // it moves just now
  if (stretch.size == 0) {
    EndRequest(request, "READ_FAILED", "it cannot be read any more");
    return true;
  }
  const RateLimiter::Grant grant = state_.parts.limiter.Take(class_, stretch.size, state_.parts.clock.Now());
  if (grant.bytes == 0) {
    try_again_ = grant.try_again;
    return false;
  }
  PrepareChunk(request, stretch);
  return true;
}

void ParentConnection::PrepareChunk(Request& request, const PieceBytes::Stretch& stretch) {
  const auto size = static_cast<uint32_t>(stretch.size);
  std::optional<uint32_t> crc;
  if (stretch.fd < 0) crc = base::Crc32c(stretch.memory);
  chunk_ = {.header = EncodePieceHeader({.request = request.number, .piece = request.piece, .offset = request.offset},
                                        size, crc),
            .header_sent = 0,
            .data = stretch};
  request.offset += size;
  if (request.offset < object_->manifest->SizeOf(request.piece)) return;
  chunk_.ends = request.piece;
  request.offset = 0;
  ++request.piece;
  if (--request.pieces == 0) requests_.pop_front();
}

absl::Status ParentConnection::Send() {
  absl::Status status = SendShare();
  CountWaiting(requests_.size());
  // The child is gone. What it said before, that a piece was wrong, may wait here still.
  if (absl::IsCancelled(status)) HearLast();
  return status;
}

absl::Status ParentConnection::SendShare() {
  sending_ = false;
  try_again_ = base::kNoDeadline;
  for (uint64_t sent = 0; chunk_left() || control_sent_ < control_.size() || PrepareNext();) {
    if (sent >= kShare) {
      sending_ = true;
      return absl::OkStatus();
    }
    const uint64_t before = chunk_.data.size;
    LARDER_ASSIGN_OR_RETURN(const Sent outcome, chunk_left() ? SendChunk() : SendControl());
    const uint64_t moved = before - chunk_.data.size;
    sent += moved;
    if (moved > 0) state_.parts.metrics.Moved(Direction::kOut, moved);
    state_.sent += moved;
    if (moved > 0 && seat_ != nullptr)
      chunk_.ends && !chunk_left() ? seat_->Sent(*chunk_.ends, sent_) : seat_->Moved(sent_);
    if (outcome == Sent::kBlocked) {
      sending_ = true;
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ParentConnection::Sent> ParentConnection::SendControl() {
  const ssize_t size =
      ::send(fd_.get(), control_.data() + control_sent_, control_.size() - control_sent_, MSG_NOSIGNAL);
  if (size < 0) {
    if (WouldBlock()) return Sent::kBlocked;
    return SocketError("send to a child");
  }
  sent_ = state_.parts.clock.Now();
  control_sent_ += static_cast<size_t>(size);
  if (control_sent_ < control_.size()) return Sent::kBlocked;
  control_.clear();
  control_sent_ = 0;
  QueuePieces();  // what had to wait
  return Sent::kAll;
}

absl::StatusOr<ParentConnection::Sent> ParentConnection::SendChunk() {
  const bool file = chunk_.data.fd >= 0;
  if (file && chunk_.header_sent == kPieceHeaderSize) return SendFile();
  std::array<iovec, 2> parts{};
  parts[0] = {.iov_base = chunk_.header.data() + chunk_.header_sent, .iov_len = kPieceHeaderSize - chunk_.header_sent};
  if (!file) {
    parts[1] = {.iov_base = const_cast<std::byte*>(chunk_.data.memory.data()), .iov_len = chunk_.data.memory.size()};
  }
  const msghdr message{.msg_iov = parts.data(), .msg_iovlen = file ? size_t{1} : size_t{2}};
  const ssize_t size = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | (file ? MSG_MORE : 0));
  if (size < 0) {
    if (WouldBlock()) return Sent::kBlocked;
    return SocketError("send to a child");
  }
  sent_ = state_.parts.clock.Now();
  const size_t of_header = std::min(static_cast<size_t>(size), parts[0].iov_len);
  chunk_.header_sent += of_header;
  if (file) return Sent::kAll;
  chunk_.data.memory = chunk_.data.memory.subspan(static_cast<size_t>(size) - of_header);
  chunk_.data.size = chunk_.data.memory.size();
  if (!chunk_left()) chunk_.data.keep.reset();
  return chunk_left() ? Sent::kBlocked : Sent::kAll;
}

absl::StatusOr<ParentConnection::Sent> ParentConnection::SendFile() {
  auto offset = static_cast<off_t>(chunk_.data.fd_offset);
  const ssize_t size = ::sendfile(fd_.get(), chunk_.data.fd, &offset, chunk_.data.size);
  if (size < 0) {
    if (WouldBlock()) return Sent::kBlocked;
    return SocketError("send a file to a child");
  }
  if (size == 0)
    return base::Error(absl::StatusCode::kDataLoss, "READ_FAILED", "a file that is shorter than its object");
  sent_ = state_.parts.clock.Now();
  chunk_.data.fd_offset += static_cast<uint64_t>(size);
  chunk_.data.size -= static_cast<uint64_t>(size);
  return chunk_left() ? Sent::kBlocked : Sent::kAll;
}

absl::Status ParentConnection::CheckTimeouts() const {
  const PieceServerOptions& options = state_.options;
  const base::MonotonicTime now = state_.parts.clock.Now();
  if (seat_ != nullptr) seat_->Tick(now);
  const auto late = [&](std::string_view reason, std::string_view what) {
    return base::Error(absl::StatusCode::kDeadlineExceeded, reason, "{}", what);
  };
  if (!ticket_ && now - accepted_ >= options.hello_timeout) return late("NO_HELLO", "no whole HELLO in time");
  if (sending_ && now - sent_ >= options.stalled_timeout) return late("STALLED", "a child reads no more");
  if (!sending_ && requests_.empty() && now - std::max(heard_, sent_) >= options.idle_timeout) {
    return late("IDLE", "a child has asked for nothing");
  }
  return absl::OkStatus();
}

void ParentConnection::SendError(const absl::Status& why) {
  if (chunk_left()) return;  // it would be taken for data
  const std::string frames = control_.substr(control_sent_) + EncodeError(0, why);
  ::send(fd_.get(), frames.data(), frames.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(fd_.get(), SHUT_WR);
  // What is left unread when a socket is closed makes the kernel take back what was sent.
  for (int i = 0; i < 16 && ::recv(fd_.get(), in_.data(), in_.size(), MSG_DONTWAIT) > 0; ++i) {
  }
}

}  // namespace larder::swarm
