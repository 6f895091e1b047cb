#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "src/channel.h"

namespace larder::transport::uds {
namespace {

constexpr uint64_t kSlot = base::kMiB;  // of the ring that Write goes through
constexpr uint64_t kSlots = 4;
constexpr uint64_t kWindowFrom = 256 * 1024;  // below, a window costs more than it saves
constexpr size_t kInFlight = 8;               // pieces of a buffer on their way at once

absl::Status Mixed() {
  return base::Error(absl::StatusCode::kFailedPrecondition, "MIXED_WRITE",
                     "an object is filled either through its buffer, asked for once, or by writes");
}
absl::Status Ended() {
  return base::Error(absl::StatusCode::kFailedPrecondition, "ENDED", "the object is sealed, discarded, or has failed");
}

class UdsWriter final : public object::ObjectWriter {
 public:
  UdsWriter(std::shared_ptr<Session> session, object::LeaseId lease, object::Epoch epoch, uint64_t size_hint)
      : session_(std::move(session)), lease_(lease), epoch_(epoch), size_hint_(size_hint) {}
  ~UdsWriter() override {
    if (mode_ == Mode::kEnded) return;
    window_.reset();
    base::ByteWriter out;
    out.U64(lease_.value).U64(epoch_.value);
    session_->link.Tell(Op::kDiscard, out.bytes());
  }

  object::Epoch epoch() const override { return epoch_; }
  absl::StatusOr<base::MutableByteSpan> Buffer(uint64_t size) override;
  absl::Status Write(base::ByteSpan bytes) override;
  absl::StatusOr<base::MutableByteSpan> Prepare(uint64_t want) override;
  absl::Status Commit(uint64_t written) override;
  absl::StatusOr<object::SealResult> Seal(const base::Digest& expected) override;
  absl::Status Discard() override;

 private:
  enum class Mode {
    kFresh,
    kInline,  // bytes gather in small_ and travel in the records
    kRing,    // bytes go through the window, slot by slot
    kBuffer,  // the window is the object
    kEnded,
  };
  // Errors other than NO_WINDOW (RESOURCE_EXHAUSTED) end the creation.
  absl::Status OpenWindow(uint64_t size);
  absl::Status SendInline();
  absl::Status SendWindow(uint64_t offset, uint64_t length);
  // Waits until at most `left` pieces are on their way.
  absl::Status Drain(size_t left);
  absl::Status Fail(absl::Status why);
  absl::Status FlushAll();

  std::shared_ptr<Session> session_;
  const object::LeaseId lease_;
  const object::Epoch epoch_;
  const uint64_t size_hint_;
  Mode mode_ = Mode::kFresh;
  uint64_t sent_ = 0;  // bytes in WRITEs so far

  std::vector<std::byte> small_;
  uint64_t small_used_ = 0;

  std::unique_ptr<Mapping> window_;
  uint64_t window_size_ = 0;
  bool no_window_ = false;
  uint64_t slot_ = 0;  // the one being filled
  uint64_t slot_used_ = 0;
  std::deque<uint64_t> in_flight_;  // requests, oldest first
};

absl::Status UdsWriter::Fail(absl::Status why) {
  window_.reset();
  in_flight_.clear();
  if (mode_ != Mode::kEnded) {
    base::ByteWriter out;
    out.U64(lease_.value).U64(epoch_.value);
    session_->link.Tell(Op::kDiscard, out.bytes());
  }
  mode_ = Mode::kEnded;
  return why;
}

absl::Status UdsWriter::Drain(size_t left) {
  while (in_flight_.size() > left) {
    const uint64_t id = in_flight_.front();
    in_flight_.pop_front();
    if (const auto reply = session_->link.Wait(id); !reply.ok()) return Fail(reply.status());
  }
  return absl::OkStatus();
}

absl::Status UdsWriter::OpenWindow(uint64_t size) {
  LARDER_ASSIGN_OR_RETURN(std::unique_ptr<Mapping> space, Mapping::Reserve(size));
  uint64_t at = 0;
  uint32_t total = 1;
  for (uint32_t from = 0; from < total;) {
    base::ByteWriter out;
    out.U64(lease_.value);
    from == 0 ? out.U64(size) : out.U32(from);
    LARDER_ASSIGN_OR_RETURN(Reply reply, session_->link.Call(from == 0 ? Op::kWindow : Op::kExtents, out.bytes()));
    base::ByteReader in(reply.payload);
    total = in.U32();
    const std::vector<WireExtent> extents = TakeExtents(in);
    LARDER_RETURN_IF_ERROR(Finished(in, "WINDOW's reply"));
    if (extents.empty() || extents.size() > reply.fds.size()) {
      return base::Error(absl::StatusCode::kResourceExhausted, "NO_WINDOW", "the window's descriptors did not arrive");
    }
    for (size_t i = 0; i < extents.size(); ++i) {
      const WireExtent& e = extents[i];
      if (e.length == 0 || e.length > space->size() - at) return BadRecord("a window of another size");
      if (::mmap(space->data() + at, e.length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, reply.fds[i].get(),
                 static_cast<off_t>(e.offset)) == MAP_FAILED) {
        return base::ErrnoError(errno, "map a window");
      }
      at += e.length;
    }
    from += static_cast<uint32_t>(extents.size());
  }
  if (at < size) return BadRecord("a window of another size");
  window_ = std::move(space);
  window_size_ = size;
  return absl::OkStatus();
}

absl::Status UdsWriter::SendInline() {
  if (small_used_ == 0) return absl::OkStatus();
  base::ByteWriter out;
  out.U64(lease_.value).U64(epoch_.value).U8(0);
  const auto id = session_->link.Begin(Op::kWrite, out.bytes(), base::ByteSpan(small_).first(small_used_));
  if (!id.ok()) return Fail(id.status());
  in_flight_.push_back(*id);
  sent_ += small_used_;
  small_used_ = 0;
  return Drain(kInFlight);
}

absl::Status UdsWriter::SendWindow(uint64_t offset, uint64_t length) {
  base::ByteWriter out;
  out.U64(lease_.value).U64(epoch_.value).U8(1).U64(offset).U32(static_cast<uint32_t>(length));
  const auto id = session_->link.Begin(Op::kWrite, out.bytes());
  if (!id.ok()) return Fail(id.status());
  in_flight_.push_back(*id);
  sent_ += length;
  return absl::OkStatus();
}

absl::StatusOr<base::MutableByteSpan> UdsWriter::Buffer(uint64_t size) {
  if (mode_ == Mode::kEnded) return Ended();
  if (mode_ != Mode::kFresh) return Mixed();
  mode_ = Mode::kBuffer;
  window_size_ = size;
  if (size == 0) return base::MutableByteSpan();
  if (size > session_->welcome.inline_limit) {
    const absl::Status opened = OpenWindow(size);
    if (opened.ok()) return base::MutableByteSpan(window_->data(), size);
    if (opened.code() != absl::StatusCode::kResourceExhausted) return Fail(opened);
  }
  // Small, or no window to be had: memory of our own, which travels in the records at the seal.
  small_.assign(size, std::byte{0});
  return base::MutableByteSpan(small_);
}

absl::StatusOr<base::MutableByteSpan> UdsWriter::Prepare(uint64_t want) {
  if (mode_ == Mode::kEnded) return Ended();
  if (mode_ == Mode::kBuffer) return Mixed();
  if (mode_ == Mode::kFresh) mode_ = Mode::kInline;
  want = std::max<uint64_t>(want, 1);
  if (mode_ == Mode::kInline && !no_window_ && std::max(size_hint_, sent_ + small_used_ + want) > kWindowFrom) {
    LARDER_RETURN_IF_ERROR(SendInline());
    const absl::Status opened = OpenWindow(kSlot * kSlots);
    if (opened.ok()) {
      mode_ = Mode::kRing;
    } else if (opened.code() == absl::StatusCode::kResourceExhausted) {
      no_window_ = true;
    } else {
      return Fail(opened);
    }
  }
  if (mode_ == Mode::kRing) {
    return base::MutableByteSpan(window_->data() + slot_ * kSlot + slot_used_, std::min(want, kSlot - slot_used_));
  }
  small_.resize(session_->welcome.inline_limit);
  if (small_used_ == small_.size()) LARDER_RETURN_IF_ERROR(SendInline());
  return base::MutableByteSpan(small_).subspan(small_used_, std::min<uint64_t>(want, small_.size() - small_used_));
}

absl::Status UdsWriter::Commit(uint64_t written) {
  if (mode_ == Mode::kEnded) return Ended();
  if (mode_ != Mode::kRing) {
    small_used_ += written;
    return absl::OkStatus();
  }
  slot_used_ += written;
  if (slot_used_ < kSlot) return absl::OkStatus();
  LARDER_RETURN_IF_ERROR(SendWindow(slot_ * kSlot, kSlot));
  slot_ = (slot_ + 1) % kSlots;
  slot_used_ = 0;
  return Drain(kSlots - 1);  // the next slot's bytes have been copied
}

absl::Status UdsWriter::Write(base::ByteSpan bytes) {
  while (!bytes.empty()) {
    LARDER_ASSIGN_OR_RETURN(const base::MutableByteSpan to, Prepare(bytes.size()));
    const size_t part = std::min(to.size(), bytes.size());
    std::memcpy(to.data(), bytes.data(), part);
    LARDER_RETURN_IF_ERROR(Commit(part));
    bytes = bytes.subspan(part);
  }
  return absl::OkStatus();
}

absl::Status UdsWriter::FlushAll() {
  if (mode_ == Mode::kRing && slot_used_ > 0) LARDER_RETURN_IF_ERROR(SendWindow(slot_ * kSlot, slot_used_));
  if (mode_ == Mode::kInline) LARDER_RETURN_IF_ERROR(SendInline());
  if (mode_ == Mode::kBuffer && window_ != nullptr) {
    const uint64_t step = session_->welcome.piece_limit;
    for (uint64_t at = 0; at < window_size_; at += step) {
      LARDER_RETURN_IF_ERROR(SendWindow(at, std::min(step, window_size_ - at)));
      LARDER_RETURN_IF_ERROR(Drain(kInFlight));
    }
  } else if (mode_ == Mode::kBuffer) {
    const std::vector<std::byte> whole = std::exchange(small_, {});
    for (uint64_t at = 0; at < whole.size();) {
      const uint64_t part = std::min<uint64_t>(whole.size() - at, session_->welcome.inline_limit);
      small_.assign(whole.begin() + static_cast<ptrdiff_t>(at), whole.begin() + static_cast<ptrdiff_t>(at + part));
      small_used_ = part;
      LARDER_RETURN_IF_ERROR(SendInline());
      at += part;
    }
  }
  return Drain(0);
}

absl::StatusOr<object::SealResult> UdsWriter::Seal(const base::Digest& expected) {
  if (mode_ == Mode::kEnded) return Ended();
  LARDER_RETURN_IF_ERROR(FlushAll());
  window_.reset();
  base::ByteWriter out;
  out.U64(lease_.value).U64(epoch_.value).U64(sent_);
  PutDigest(out, expected);
  mode_ = Mode::kEnded;  // also by failure
  LARDER_ASSIGN_OR_RETURN(const Reply reply, session_->link.Call(Op::kSeal, out.bytes()));
  base::ByteReader in(reply.payload);
  object::SealResult result = TakeSealed(in);
  LARDER_RETURN_IF_ERROR(Finished(in, "SEAL's reply"));
  result.info.id.ns = session_->welcome.ns;
  return result;
}

absl::Status UdsWriter::Discard() {
  if (mode_ == Mode::kEnded) return absl::OkStatus();
  window_.reset();
  mode_ = Mode::kEnded;
  base::ByteWriter out;
  out.U64(lease_.value).U64(epoch_.value);
  return session_->link.Call(Op::kDiscard, out.bytes()).status();
}

}  // namespace

absl::StatusOr<std::unique_ptr<object::ObjectWriter>> OpenWriter(std::shared_ptr<Session> session,
                                                                 const object::CreateRequest& request,
                                                                 base::Deadline deadline) {
  base::ByteWriter out;
  PutCreation(out, {.request = request, .wait_ms = Session::WaitMs(deadline)});
  LARDER_ASSIGN_OR_RETURN(const Reply reply, session->link.Call(Op::kCreate, out.bytes(), Session::AnswerBy(deadline)));
  base::ByteReader in(reply.payload);
  const object::LeaseId lease{in.U64()};
  const object::Epoch epoch{in.U64()};
  LARDER_RETURN_IF_ERROR(Finished(in, "CREATE's reply"));
  session->KeepRenewing();
  return std::make_unique<UdsWriter>(std::move(session), lease, epoch, request.size_hint);
}

}  // namespace larder::transport::uds
