#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>

#include "larder/base/status.h"
#include "src/channel.h"

namespace larder::transport::uds {
namespace {

constexpr uint64_t kRingFrom = 128 * 1024;  // below, the records carry the bytes as fast
constexpr size_t kInFlight = 8;             // pieces on their way at once

absl::Status Mixed() {
  return base::Error(absl::StatusCode::kFailedPrecondition, "MIXED_WRITE",
                     "an object is filled either through its buffer, asked for once, or by writes");
}
absl::Status Ended() {
  return base::Error(absl::StatusCode::kFailedPrecondition, "ENDED", "the object is sealed, discarded, or has failed");
}

class UdsWriter final : public object::ObjectWriter {
 public:
  UdsWriter(const Line& line, object::LeaseId lease, object::Epoch epoch, const object::CreateRequest& request,
            base::Deadline until)
      : keeper_(line.keeper), session_(line.session), key_(request.key), size_hint_(request.size_hint), until_(until) {
    lease_.kind = Lease::Kind::kCreate;
    lease_.key = key_;
    lease_.epoch = epoch;
    lease_.id = lease;
    lease_.session = session_;
  }
  ~UdsWriter() override {
    if (keeper_->InChild()) return;
    if (mode_ != Mode::kEnded) {
      StartCall();
      GiveUp();
      TellDiscard();
    }
    keeper_->End(lease_);
  }
  // OK, or the connection was lost since the CREATE.
  absl::Status Hold() { return keeper_->Hold(lease_); }

  object::Epoch epoch() const override { return lease_.epoch; }
  absl::StatusOr<base::MutableByteSpan> Buffer(uint64_t size) override;
  absl::Status Write(base::ByteSpan bytes) override;
  absl::StatusOr<base::MutableByteSpan> Prepare(uint64_t want) override {
    StartCall();
    return Room(want);
  }
  absl::Status Commit(uint64_t written) override {
    StartCall();
    return Append(written);
  }
  absl::StatusOr<object::SealResult> Seal(const base::Digest& expected) override;
  absl::Status Discard() override;

 private:
  enum class Mode {
    kFresh,
    kInline,  // bytes gather in small_ and travel in the records
    kRing,    // bytes go through the connection's ring, slot by slot
    kBuffer,  // the window is the object
    kEnded,
  };
  void StartCall() { deadline_ = std::min(until_, keeper_->CallDeadline()); }
  // Prepare and Commit, as parts of a call.
  absl::StatusOr<base::MutableByteSpan> Room(uint64_t want);
  absl::Status Append(uint64_t written);
  absl::Status SendInline();
  absl::Status SendShared(Source source, uint64_t offset, uint64_t length);
  absl::Status SendSlot();
  // Makes room for the next bytes: a slot of the ring, or else the records.
  absl::Status TakeSlot();
  // Waits until at most `left` pieces are on their way, or one was refused.
  absl::Status Await(size_t left);
  // The same; a refusal ends the creation.
  absl::Status Drain(size_t left);
  // Ends the creation with an error that names it.
  absl::Status Fail(const absl::Status& why);
  absl::Status Named(const absl::Status& why) const;
  absl::Status Forked() const;
  // Whether it can go on, as far as is known without asking.
  absl::Status CheckOpen();
  CreationLease creation() const { return {.lease = lease_.id, .epoch = lease_.epoch}; }
  base::ByteWriter DiscardRequest() const;
  // Ends the creation before its failure is told: who asks this agent for the key next finds it no longer CREATING.
  void EndAtAgent();
  void TellDiscard() { session_->link.Tell(Op::kDiscard, DiscardRequest().bytes()); }
  // Gives back what is shared, after the agent has stopped copying from it, or the connection has ended.
  void GiveUp();
  // Sends what is left to send; Drain waits for the answers.
  absl::Status FlushAll();

  const std::shared_ptr<Keeper> keeper_;
  const std::shared_ptr<Session> session_;
  const std::string key_;
  const uint64_t size_hint_;
  const base::Deadline until_;  // of all calls together
  base::Deadline deadline_;     // of the present one
  Lease lease_;
  Mode mode_ = Mode::kFresh;
  uint64_t sent_ = 0;  // bytes in WRITEs so far

  std::vector<std::byte> small_;
  uint64_t small_used_ = 0;

  std::shared_ptr<const Mapping> window_;
  uint64_t window_size_ = 0;
  std::optional<uint64_t> slot_;  // of the ring, being filled
  uint64_t slot_used_ = 0;
  struct Sent {
    uint64_t request = 0;
    std::optional<uint64_t> slot;  // free again once it is answered
  };
  std::deque<Sent> in_flight_;  // oldest first
};

void UdsWriter::GiveUp() {
  window_.reset();
  for (const Sent& sent : in_flight_) {
    session_->link.Wait(sent.request, deadline_).status().IgnoreError();
    if (sent.slot) session_->ring.Give(*sent.slot);
  }
  in_flight_.clear();
  if (slot_) session_->ring.Give(*std::exchange(slot_, std::nullopt));
}

base::ByteWriter UdsWriter::DiscardRequest() const {
  base::ByteWriter out;
  PutCreationLease(out, creation());
  return out;
}

absl::Status UdsWriter::Named(const absl::Status& why) const {
  const std::string name = key_.empty() ? "a content-addressed object" : "'" + key_ + "'";
  return base::Annotate(why, fmt::format("creation of {} (epoch {})", name, lease_.epoch.value));
}

absl::Status UdsWriter::Forked() const {
  return Named(base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST",
                           "it was begun before a fork and is the parent's: create it again"));
}

void UdsWriter::EndAtAgent() {
  if (lease_.lapsed.load(std::memory_order_relaxed)) return TellDiscard();  // it has ended there
  session_->link.TellAndWait(Op::kDiscard, DiscardRequest().bytes(), deadline_);
}

absl::Status UdsWriter::Fail(const absl::Status& why) {
  GiveUp();
  if (mode_ != Mode::kEnded) EndAtAgent();
  mode_ = Mode::kEnded;
  return Named(why);
}

absl::Status UdsWriter::CheckOpen() {
  if (mode_ == Mode::kEnded) return Ended();
  if (keeper_->InChild()) return Forked();
  if (lease_.lapsed.load(std::memory_order_relaxed)) {
    return Fail(base::Error(absl::StatusCode::kAborted, "LEASE_LOST",
                            "its lease was not renewed in time and has lapsed: create it again"));
  }
  if (session_->link.lost()) {
    return Fail(base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST",
                            "the connection to the agent has ended, and the creation with it: create it again"));
  }
  return absl::OkStatus();
}

absl::Status UdsWriter::Await(size_t left) {
  while (in_flight_.size() > left) {
    const Sent sent = in_flight_.front();
    in_flight_.pop_front();
    const auto reply = session_->link.Wait(sent.request, deadline_);
    if (sent.slot) session_->ring.Give(*sent.slot);
    LARDER_RETURN_IF_ERROR(reply.status());
  }
  return absl::OkStatus();
}

absl::Status UdsWriter::Drain(size_t left) {
  const absl::Status awaited = Await(left);
  return awaited.ok() ? awaited : Fail(awaited);
}

absl::Status UdsWriter::SendInline() {
  if (small_used_ == 0) return absl::OkStatus();
  base::ByteWriter out;
  PutWrite(out, {.creation = creation(), .source = Source::kInline});  // its bytes follow
  const base::ByteSpan bytes = base::ByteSpan(small_).first(small_used_);
  const auto id = session_->link.Begin(Op::kWrite, out.bytes(), bytes, false, deadline_);
  if (!id.ok()) return Fail(id.status());
  in_flight_.push_back({.request = *id});
  sent_ += small_used_;
  small_used_ = 0;
  return Drain(session_->link.hung_up() ? 0 : kInFlight);
}

absl::Status UdsWriter::SendShared(Source source, uint64_t offset, uint64_t length) {
  base::ByteWriter out;
  PutWrite(out, {.creation = creation(), .source = source, .offset = offset, .length = static_cast<uint32_t>(length)});
  const auto id = session_->link.Begin(Op::kWrite, out.bytes(), {}, false, deadline_);
  if (!id.ok()) return Fail(id.status());
  in_flight_.push_back(
      {.request = *id, .slot = source == Source::kRing ? std::exchange(slot_, std::nullopt) : std::nullopt});
  sent_ += length;
  return session_->link.hung_up() ? Drain(0) : absl::OkStatus();
}

absl::Status UdsWriter::SendSlot() {
  if (!slot_ || slot_used_ == 0) return absl::OkStatus();
  return SendShared(Source::kRing, *slot_ * Ring::kSlot, std::exchange(slot_used_, 0));
}

absl::Status UdsWriter::TakeSlot() {
  slot_used_ = 0;
  while (true) {
    const absl::StatusOr<std::optional<uint64_t>> taken = session_->ring.Take(deadline_);
    if (!taken.ok()) return Fail(taken.status());
    slot_ = *taken;
    if (slot_ || in_flight_.empty()) return absl::OkStatus();
    LARDER_RETURN_IF_ERROR(Drain(in_flight_.size() - 1));
  }
}

absl::StatusOr<base::MutableByteSpan> UdsWriter::Buffer(uint64_t size) {
  StartCall();
  LARDER_RETURN_IF_ERROR(CheckOpen());
  if (mode_ != Mode::kFresh) return Mixed();
  mode_ = Mode::kBuffer;
  window_size_ = size;
  if (size == 0) return base::MutableByteSpan();
  if (size > session_->welcome.inline_limit) {
    auto window = session_->OpenWindow(lease_.id, size, deadline_);
    if (window.ok()) {
      window_ = *std::move(window);
      return base::MutableByteSpan(window_->data(), size);
    }
    if (window.status().code() != absl::StatusCode::kResourceExhausted) return Fail(window.status());
  }
  // Small, or no window to be had: memory of our own, which travels in the records at the seal.
  small_.assign(size, std::byte{0});
  return base::MutableByteSpan(small_);
}

absl::StatusOr<base::MutableByteSpan> UdsWriter::Room(uint64_t want) {
  LARDER_RETURN_IF_ERROR(CheckOpen());
  if (mode_ == Mode::kBuffer) return Mixed();
  if (mode_ == Mode::kFresh) mode_ = Mode::kInline;
  want = std::max<uint64_t>(want, 1);
  if (mode_ == Mode::kInline && std::max(size_hint_, sent_ + small_used_ + want) > kRingFrom) {
    LARDER_RETURN_IF_ERROR(SendInline());
    mode_ = Mode::kRing;
  }
  if (mode_ == Mode::kRing) {
    // Bytes that had to take the other way go first.
    LARDER_RETURN_IF_ERROR(SendInline());
    if (!slot_) LARDER_RETURN_IF_ERROR(TakeSlot());
    if (slot_) {
      const base::MutableByteSpan slot = session_->ring.bytes(*slot_).subspan(slot_used_);
      return slot.first(std::min<uint64_t>(want, slot.size()));
    }
  }
  small_.resize(session_->welcome.inline_limit);
  if (small_used_ == small_.size()) LARDER_RETURN_IF_ERROR(SendInline());
  return base::MutableByteSpan(small_).subspan(small_used_, std::min<uint64_t>(want, small_.size() - small_used_));
}

absl::Status UdsWriter::Append(uint64_t written) {
  LARDER_RETURN_IF_ERROR(CheckOpen());
  if (!slot_) {
    small_used_ += written;
    return absl::OkStatus();
  }
  slot_used_ += written;
  return slot_used_ < Ring::kSlot ? absl::OkStatus() : SendSlot();
}

absl::Status UdsWriter::Write(base::ByteSpan bytes) {
  StartCall();
  while (!bytes.empty()) {
    LARDER_ASSIGN_OR_RETURN(const base::MutableByteSpan to, Room(bytes.size()));
    const size_t part = std::min(to.size(), bytes.size());
    std::memcpy(to.data(), bytes.data(), part);
    LARDER_RETURN_IF_ERROR(Append(part));
    bytes = bytes.subspan(part);
  }
  return absl::OkStatus();
}

absl::Status UdsWriter::FlushAll() {
  if (mode_ == Mode::kInline || mode_ == Mode::kRing) {
    LARDER_RETURN_IF_ERROR(SendInline());
    LARDER_RETURN_IF_ERROR(SendSlot());
  }
  if (mode_ == Mode::kBuffer && window_ != nullptr) {
    const uint64_t step = session_->welcome.piece_limit;
    for (uint64_t at = 0; at < window_size_; at += step) {
      LARDER_RETURN_IF_ERROR(SendShared(Source::kWindow, at, std::min(step, window_size_ - at)));
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
  return absl::OkStatus();
}

absl::StatusOr<object::SealResult> UdsWriter::Seal(const base::Digest& expected) {
  StartCall();
  LARDER_RETURN_IF_ERROR(CheckOpen());
  LARDER_RETURN_IF_ERROR(FlushAll());
  if (window_ != nullptr) {
    // The agent forgets it at the seal, so it is unmapped before. All else need not be waited for: the agent takes the
    // requests in order, and bytes that it refused leave a size that it does not seal.
    LARDER_RETURN_IF_ERROR(Drain(0));
    window_.reset();
  }
  base::ByteWriter out;
  PutSeal(out, {.creation = creation(), .request = {.size = sent_, .expected = expected}});
  const absl::StatusOr<uint64_t> seal = session_->link.Begin(Op::kSeal, out.bytes(), {}, false, deadline_);
  if (!seal.ok()) return Fail(seal.status());
  const absl::Status written = Await(0);
  GiveUp();
  mode_ = Mode::kEnded;  // also by failure
  const absl::StatusOr<Reply> reply = session_->link.Wait(*seal, deadline_);
  if (!written.ok() || !reply.ok()) {
    EndAtAgent();  // not before: a creation that is being sealed takes no end, and SIZE_MISMATCH leaves it as it was
    return Named(written.ok() ? reply.status() : written);
  }
  base::ByteReader in(reply->payload);
  object::SealResult result = TakeSealed(in);
  LARDER_RETURN_IF_ERROR(Finished(in, "SEAL's reply"));
  result.info.id.ns = session_->welcome.ns;
  return result;
}

absl::Status UdsWriter::Discard() {
  if (mode_ == Mode::kEnded) return absl::OkStatus();
  if (keeper_->InChild()) return Forked();
  StartCall();
  GiveUp();
  mode_ = Mode::kEnded;
  return session_->link.Call(Op::kDiscard, DiscardRequest().bytes(), deadline_).status();
}

}  // namespace

absl::StatusOr<std::unique_ptr<object::ObjectWriter>> OpenWriter(const Line& line, const object::CreateRequest& request,
                                                                 base::Deadline deadline, base::Deadline until) {
  base::ByteWriter out;
  PutCreation(out, {.request = request, .wait_ms = WaitMs(deadline)});
  LARDER_ASSIGN_OR_RETURN(const Reply reply, line.session->link.Call(Op::kCreate, out.bytes(), AnswerBy(deadline)));
  base::ByteReader in(reply.payload);
  const auto [lease, epoch] = TakeCreationLease(in);
  LARDER_RETURN_IF_ERROR(Finished(in, "CREATE's reply"));
  auto writer = std::make_unique<UdsWriter>(line, lease, epoch, request, until);
  LARDER_RETURN_IF_ERROR(writer->Hold());
  return writer;
}

}  // namespace larder::transport::uds
