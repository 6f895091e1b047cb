#include <sys/random.h>

#include <algorithm>
#include <optional>

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "src/batch.h"
#include "src/connection.h"

// One handler per operation: validate, call the peer, reply.
namespace larder::transport::uds {

using object::Epoch;
using object::LeaseId;

namespace {

// Copies up to this size are made by the event thread itself: handing them over costs more than they do.
constexpr uint64_t kCopyHere = base::kMiB;
constexpr uint64_t kMaxObject = uint64_t{1} << 46;
constexpr base::Duration kRoomWait = std::chrono::seconds(2);  // of a write, while room is made

absl::Status TooManyWaiting() {
  return base::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_WAITING",
                     "{} creations of this connection wait for other creators already (limit {})", kMaxWaiting,
                     kMaxWaiting);
}
bool InBatch(Op op) {
  return op == Op::kPut || op == Op::kGet || op == Op::kRelease || op == Op::kStat || op == Op::kDelete;
}
absl::Status NoCreation() {
  return base::Error(absl::StatusCode::kAborted, "LEASE_LOST",
                     "this connection holds no such create lease: create it again");
}

}  // namespace

void Connection::Handle(const Request& header, base::ByteSpan payload) {
  base::ByteReader in(payload);
  if (!greeted() && header.op != Op::kHello) return Malformed(header, BadRecord("HELLO comes first"));
  switch (header.op) {
    case Op::kHello:
      return Hello(header, in);
    case Op::kCreate:
      return Create(header, in);
    case Op::kWindow:
      return Window(header, in);
    case Op::kWrite:
      return Write(header, in);
    case Op::kSeal:
      return Seal(header, in);
    case Op::kPut:
      return Put(header, in);
    case Op::kDiscard:
      return Discard(header, in);
    case Op::kGet:
      return Get(header, in);
    case Op::kRead:
      return Read(header, in);
    case Op::kList:
      return List(header, in);
    case Op::kExtents:
      return Extents(header, in);
    case Op::kBatch:
      return HandleBatch(header, in);
    case Op::kUnmapped:
      return HandleUnmapped(header, in);
    case Op::kRevoke:
    case Op::kLapsed:
      break;  // the agent's own
    case Op::kPing: {
      if (auto bad = Finished(in, "PING"); !bad.ok()) return Malformed(header, bad);
      return Reply(header, absl::OkStatus());
    }
    case Op::kRelease: {
      const LeaseId lease{in.U64()};
      if (auto bad = Finished(in, "RELEASE"); !bad.ok()) return Malformed(header, bad);
      peer_.Release(session_, lease);
      return Reply(header, absl::OkStatus());
    }
    case Op::kRenew: {
      if (auto bad = Finished(in, "RENEW"); !bad.ok()) return Malformed(header, bad);
      const auto lapsed = peer_.Renew(session_);
      if (!lapsed.ok()) return Reply(header, lapsed.status());
      base::ByteWriter out;
      PutLeases(out, std::span(*lapsed).first(std::min<size_t>(lapsed->size(), 8192)));
      for (const LeaseId lease : *lapsed) Forget(lease);
      return Reply(header, out.bytes());
    }
    case Op::kStat: {
      const std::string key(in.Str());
      if (auto bad = Finished(in, "STAT"); !bad.ok()) return Malformed(header, bad);
      const auto info = peer_.Stat(session_, key);
      if (!info.ok()) return Reply(header, info.status());
      base::ByteWriter out;
      PutObject(out, *info);
      return Reply(header, out.bytes());
    }
    case Op::kDelete: {
      const std::string key(in.Str());
      if (auto bad = Finished(in, "DELETE"); !bad.ok()) return Malformed(header, bad);
      auto work = [this, header, key] { Reply(header, peer_.Delete(session_, key)); };
      return peer_.blocks() ? Offload(header, work) : work();
    }
    case Op::kPin: {
      const bool pinned = in.U8() != 0;
      const std::string key(in.Str());
      if (auto bad = Finished(in, "PIN"); !bad.ok()) return Malformed(header, bad);
      auto work = [this, header, key, pinned] { Reply(header, peer_.SetPinned(session_, key, pinned)); };
      return peer_.blocks() ? Offload(header, work) : work();
    }
  }
  Malformed(header, BadRecord(fmt::format("there is no operation {}", static_cast<unsigned>(header.op))));
}

void Connection::HandleUnmapped(const Request& header, base::ByteReader& in) {
  const Unmapped unmapped = TakeUnmapped(in);
  if (auto bad = Finished(in, "UNMAPPED"); !bad.ok()) return Malformed(header, bad);
  {
    base::MutexLock lock(mutex_);
    for (const uint32_t segment : unmapped.segments) {
      mapped_.erase(segment);
      revoked_.erase(segment);
    }
  }
  Withhold(unmapped.earlier_bytes);
  if (ring_ != nullptr && std::ranges::any_of(unmapped.segments, [&](uint32_t segment) {
        return segment == ring_->ranges.front().memory()->id();
      })) {
    ring_.reset();
  }
  Reply(header, absl::OkStatus());
}

void Connection::HandleBatch(const Request& header, base::ByteReader& in) {
  const std::vector<BatchItem> items = TakeBatch(in);
  if (auto bad = Finished(in, "BATCH"); !bad.ok()) return Malformed(header, bad);
  auto batch = std::make_shared<Batch>(shared_from_this(), header.request_id, items.size());
  for (size_t i = 0; i < items.size() && !closed_; ++i) {
    Request one{header};
    one.op = items[i].op;
    one.batch = batch;
    one.item = static_cast<uint16_t>(i);
    if (InBatch(one.op)) {
      Handle(one, items[i].payload);
    } else {
      Reply(one, base::InvalidArgument("NOT_IN_BATCH", "operation {} goes alone", static_cast<unsigned>(one.op)));
    }
  }
  batch->Flush();
}

void Connection::Malformed(const Request& header, const absl::Status& status) {
  Request reply = header;
  reply.batch = nullptr;
  if (reply.request_id == 0) reply.request_id = UINT64_MAX;  // say why, whoever asked
  Reply(reply, status);
  // The record just sent is delivered though the socket is closed.
  Close("bad_record");
}

base::Deadline Connection::DeadlineOf(uint32_t wait_ms) const {
  if (wait_ms == kNoWaitLimit) return base::kNoDeadline;
  return base::DeadlineAfter(server_.settings.clock->Now(), std::chrono::milliseconds(wait_ms));
}

void Connection::Hello(const Request& header, base::ByteReader& in) {
  const std::string asked(in.Str());
  const uint64_t earlier_bytes = in.U64();
  in.Str();  // the client's name and version: for people who look at records
  if (auto bad = Finished(in, "HELLO"); !bad.ok()) return Malformed(header, bad);
  if (greeted()) return Malformed(header, BadRecord("HELLO comes once"));
  const object::ListenSettings& settings = server_.settings;
  absl::StatusOr<object::SessionOwner> owner = settings.identify(caller_.pid, asked);
  if (!owner.ok()) {
    Reply(header, owner.status());
    return Close("denied");
  }
  absl::StatusOr<object::SessionId> session =
      peer_.OpenSession(*owner, [weak = weak_from_this()](const std::vector<LeaseId>& leases) {
        if (const auto self = weak.lock()) self->OnLapsed(leases);
      });
  if (!session.ok()) {
    Reply(header, session.status());
    return Close("denied");
  }
  session_ = *session;
  --server_.ungreeted;
  ns_ = owner->ns;
  Withhold(earlier_bytes);
  std::array<unsigned char, 16> token{};
  if (::getrandom(token.data(), token.size(), 0) != static_cast<ssize_t>(token.size())) {
    Reply(header, base::ErrnoError(errno, "make a token"));
    return Close("denied");
  }
  base::ByteWriter out;
  out.U64(session_.value).Raw(std::as_bytes(std::span(token)));
  out.U32(static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(settings.lease_ttl).count()));
  out.U32(kInlineLimit).U32(kPieceLimit).Str(ns_).Str(settings.node).Str(settings.version);
  Reply(header, out.bytes());
}

// ---- creating

Connection::CreatingPtr Connection::FindCreating(LeaseId lease) {
  base::MutexLock lock(mutex_);
  auto it = creating_.find(lease);
  return it == creating_.end() ? nullptr : it->second;
}

void Connection::Forget(LeaseId lease) {
  CreatingPtr ended;  // its window is freed after the lock
  base::MutexLock lock(mutex_);
  if (auto node = creating_.extract(lease); !node.empty()) ended = std::move(node.mapped());
}

void Connection::Create(const Request& header, base::ByteReader& in) {
  Creation creation = TakeCreation(in);
  if (auto bad = Finished(in, "CREATE"); !bad.ok()) return Malformed(header, bad);
  if (creation.request.size_hint > kMaxObject) {
    return Reply(header, base::InvalidArgument("TOO_LARGE", "an object has at most {} bytes", kMaxObject));
  }
  const bool compares = creation.request.accept_same_content;
  const bool large = creation.request.size_hint > kCopyHere;
  auto work = [self = shared_from_this(), header, compares, creation = std::move(creation),
               deadline = DeadlineOf(creation.wait_ms)]() mutable {
    self->peer_.Create(self->session_, std::move(creation.request), deadline,
                       [self, header, compares](absl::StatusOr<object::CreateGrant> grant) {
                         if (!grant.ok()) {
                           self->Reply(header, grant.status());
                         } else {
                           auto creating = std::make_shared<Creating>();
                           creating->epoch = grant->epoch;
                           creating->compares = compares;
                           {
                             base::MutexLock lock(self->mutex_);
                             if (!self->gone_) self->creating_.emplace(grant->lease, std::move(creating));
                           }
                           base::ByteWriter out;
                           out.U64(grant->lease.value).U64(grant->epoch.value);
                           self->Reply(header, out.bytes());
                         }
                         self->EndWaiting();
                       });
  };
  if (!BeginWaiting()) return Reply(header, TooManyWaiting());
  // Taking the memory of a large one may mean making it.
  peer_.blocks() || large ? Offload(header, work) : work();
}

void Connection::Window(const Request& header, base::ByteReader& in) {
  const LeaseId lease{in.U64()};
  const uint64_t size = in.U64();
  if (auto bad = Finished(in, "WINDOW"); !bad.ok()) return Malformed(header, bad);
  const bool ring = lease.value == 0;
  CreatingPtr creating = ring ? nullptr : FindCreating(lease);
  if (!ring && creating == nullptr) return Reply(header, NoCreation());
  if ((ring ? ring_ : creating->window) != nullptr) {
    return Reply(header, base::Error(absl::StatusCode::kFailedPrecondition, "WINDOW_TWICE",
                                     "a creation has one window, a connection one ring"));
  }
  const uint64_t limit = ring ? kRingLimit : kMaxObject;
  if (size == 0 || size > limit) {
    return Reply(header, base::InvalidArgument("BAD_WINDOW", "between 1 and {} bytes can be shared", limit));
  }
  if (server_.settings.arena == nullptr) {
    return Reply(header, base::Error(absl::StatusCode::kResourceExhausted, "NO_WINDOW", "this agent shares no memory"));
  }
  // Making memory takes a while.
  Offload(header, [self = shared_from_this(), header, creating, size] {
    absl::StatusOr<std::vector<arena::Range>> ranges = self->server_.settings.arena->AllocateWindow(self->ns_, size);
    if (!ranges.ok()) return self->Reply(header, ranges.status());
    auto window = std::make_shared<SharedWindow>(SharedWindow{.ranges = *std::move(ranges), .size = size});
    base::ByteWriter out;
    std::vector<base::UniqueFd> fds;
    if (absl::Status described = self->DescribeWindow(*window, 0, out, fds); !described.ok()) {
      return self->Reply(header, described);
    }
    // Before the reply: the client may use it at once. Nothing is read from this connection meanwhile.
    (creating == nullptr ? self->ring_ : creating->window) = std::move(window);
    self->Reply(header, out.bytes(), {}, std::move(fds));
  });
}

absl::Status Connection::DescribeWindow(const SharedWindow& window, size_t from, base::ByteWriter& out,
                                        std::vector<base::UniqueFd>& fds) const {
  std::vector<WireExtent> extents;
  for (size_t i = from; i < window.ranges.size() && extents.size() < kMaxExtents; ++i) {
    const arena::Range& range = window.ranges[i];
    LARDER_ASSIGN_OR_RETURN(base::UniqueFd fd, range.OpenWritable());
    fds.push_back(std::move(fd));
    extents.push_back({.segment = static_cast<uint32_t>(range.memory()->id()),
                       .has_descriptor = true,
                       .segment_size = range.memory()->size(),
                       .offset = range.offset(),
                       .length = range.size()});
  }
  out.U32(static_cast<uint32_t>(window.ranges.size()));
  PutExtents(out, extents);
  return absl::OkStatus();
}

absl::Status Connection::AppendLeft(Writing& writing) {
  const Epoch epoch = writing.creating->epoch;
  const auto append = [&](base::ByteSpan bytes) {
    const absl::Status appended = peer_.Append(session_, writing.lease, epoch, bytes);
    if (appended.ok()) {
      writing.offset += bytes.size();
      writing.left -= bytes.size();
    }
    return appended;
  };
  if (writing.window == nullptr) return append(writing.copy);
  uint64_t begin = 0;
  for (const arena::Range& range : writing.window->ranges) {
    if (writing.left == 0) break;
    if (writing.offset < begin + range.size()) {
      const uint64_t in_range = writing.offset - begin;
      LARDER_RETURN_IF_ERROR(append({range.data() + in_range, std::min(writing.left, range.size() - in_range)}));
    }
    begin += range.size();
  }
  return absl::OkStatus();
}

bool Connection::LongWrite(const Writing& writing) const { return peer_.blocks() || writing.left > kCopyHere; }

void Connection::RunWrite(const WritingPtr& writing) {
  const absl::Status appended = AppendLeft(*writing);
  if (appended.code() == absl::StatusCode::kResourceExhausted) {
    // Before the answer nothing more is read: the order of writes stays.
    if (held_++ == 0) UpdateInterest();  // else it is not read already, and this may be another thread
    if (peer_.AwaitRoom(session_, appended, writing->left, writing->room_by, [self = shared_from_this(), writing] {
          self->server_.loop->Post([self, writing] {
            self->LongWrite(*writing) ? self->Offload(writing->request, [self, writing] { self->RunWrite(writing); })
                                      : self->RunWrite(writing);
            self->Unhold();
          });
        })) {
      return;
    }
    server_.loop->Post([self = shared_from_this()] { self->Unhold(); });
  }
  if (!appended.ok()) return Reply(writing->request, appended);
  writing->creating->written += writing->length;
  Reply(writing->request, base::ByteWriter().U64(writing->creating->written).bytes());
}

void Connection::Write(const Request& header, base::ByteReader& in) {
  const LeaseId lease{in.U64()};
  const Epoch epoch{in.U64()};
  const auto source = static_cast<Source>(in.U8());
  const base::ByteSpan bytes = in.rest();
  const bool is_inline = source == Source::kInline;
  const uint64_t offset = is_inline ? 0 : in.U64();
  const uint64_t length = is_inline ? bytes.size() : in.U32();
  if (source > Source::kRing) return Malformed(header, BadRecord("a WRITE of no known kind"));
  if (!in.ok() || (!is_inline && !in.done())) return Malformed(header, BadRecord("a WRITE of another length"));
  if (is_inline && length > kInlineLimit) return Malformed(header, BadRecord("an inline WRITE over the limit"));
  const CreatingPtr creating = FindCreating(lease);
  // The peer knows what the lease was of.
  if (creating == nullptr) return Reply(header, peer_.Append(session_, lease, epoch, {}));
  if (creating->epoch != epoch) {
    return Reply(header, base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "epoch {} is over, {} is current",
                                     epoch.value, creating->epoch.value));
  }
  const auto writing =
      std::make_shared<Writing>(Writing{.request = header,
                                        .creating = creating,
                                        .lease = lease,
                                        .offset = offset,
                                        .left = length,
                                        .length = length,
                                        .room_by = base::DeadlineAfter(server_.settings.clock->Now(), kRoomWait)});
  if (is_inline) {
    writing->copy.assign(bytes.begin(), bytes.end());
  } else {
    writing->window = source == Source::kRing ? ring_ : creating->window;
    const uint64_t size = writing->window == nullptr ? 0 : writing->window->size;
    if (length > kPieceLimit || offset > size || length > size - offset) {
      return Reply(header, base::InvalidArgument("BAD_WINDOW", "bytes {}+{} of {} shared ones (at most {} at once)",
                                                 offset, length, size, kPieceLimit));
    }
  }
  auto work = [self = shared_from_this(), writing] { self->RunWrite(writing); };
  LongWrite(*writing) ? Offload(header, work) : work();
}

void Connection::Seal(const Request& header, base::ByteReader& in) {
  const LeaseId lease{in.U64()};
  const Epoch epoch{in.U64()};
  object::SealRequest request{.size = in.U64(), .expected = TakeDigest(in)};
  if (auto bad = Finished(in, "SEAL"); !bad.ok()) return Malformed(header, bad);
  const CreatingPtr creating = FindCreating(lease);
  const bool long_work = peer_.blocks() || (creating != nullptr && creating->compares && request.size > kCopyHere);
  auto work = [self = shared_from_this(), header, lease, epoch, request] {
    self->peer_.Seal(self->session_, lease, epoch, request,
                     [self, header, lease](absl::StatusOr<object::SealResult> result) {
                       const std::string reason = base::Reason(result.status());
                       if (reason != "SIZE_MISMATCH" && reason != "EPOCH_STALE") self->Forget(lease);
                       if (result.ok()) {
                         base::ByteWriter out;
                         PutSealed(out, *result);
                         self->Reply(header, out.bytes());
                       } else {
                         self->Reply(header, result.status());
                       }
                     });
  };
  long_work ? Offload(header, work) : work();
}

void Connection::Put(const Request& header, base::ByteReader& in) {
  struct Putting {
    std::shared_ptr<Connection> self;
    Request header;
    Creation creation;
    base::Digest expected;
    std::vector<std::byte> bytes;

    void Finish(const absl::StatusOr<object::SealResult>& result) {
      if (result.ok()) {
        base::ByteWriter out;
        PutSealed(out, *result);
        self->Reply(header, out.bytes());
      } else {
        self->Reply(header, result.status());
      }
      self->EndWaiting();
    }
  };
  auto request = std::make_shared<Putting>();
  request->self = shared_from_this();
  request->header = header;
  request->creation = TakeCreation(in);
  request->expected = TakeDigest(in);
  if (!in.ok()) return Malformed(header, BadRecord("PUT is cut off"));
  if (in.rest().size() > kInlineLimit) return Malformed(header, BadRecord("a PUT over the inline limit"));
  request->bytes.assign(in.rest().begin(), in.rest().end());
  request->creation.request.size_hint = request->bytes.size();
  const base::Deadline deadline = DeadlineOf(request->creation.wait_ms);
  auto work = [request, deadline] {
    object::Peer& peer = request->self->peer_;
    const object::SessionId session = request->self->session_;
    peer.Create(session, request->creation.request, deadline,
                [request, &peer, session](absl::StatusOr<object::CreateGrant> grant) {
                  if (!grant.ok()) return request->Finish(grant.status());
                  const absl::Status appended = peer.Append(session, grant->lease, grant->epoch, request->bytes);
                  if (!appended.ok()) {
                    peer.Discard(session, grant->lease, grant->epoch).IgnoreError();
                    return request->Finish(appended);
                  }
                  peer.Seal(session, grant->lease, grant->epoch,
                            {.size = request->bytes.size(), .expected = request->expected},
                            [request](absl::StatusOr<object::SealResult> result) { request->Finish(result); });
                });
  };
  if (!BeginWaiting()) return Reply(header, TooManyWaiting());
  peer_.blocks() ? Offload(header, work) : work();
}

void Connection::Discard(const Request& header, base::ByteReader& in) {
  const LeaseId lease{in.U64()};
  const Epoch epoch{in.U64()};
  if (auto bad = Finished(in, "DISCARD"); !bad.ok()) return Malformed(header, bad);
  auto work = [self = shared_from_this(), header, lease, epoch] {
    const absl::Status status = self->peer_.Discard(self->session_, lease, epoch);
    if (status.ok()) self->Forget(lease);
    self->Reply(header, status);
  };
  peer_.blocks() ? Offload(header, work) : work();
}

// ---- reading

void Connection::Get(const Request& header, base::ByteReader& in) {
  const uint32_t flags = in.U32();
  const uint32_t wait_ms = in.U32();
  const std::string key(in.Str());
  if (auto bad = Finished(in, "GET"); !bad.ok()) return Malformed(header, bad);
  auto work = [self = shared_from_this(), header, flags, key, deadline = DeadlineOf(wait_ms)] {
    self->peer_.Get(self->session_, key, deadline, [self, header, flags](absl::StatusOr<object::ReadGrant> grant) {
      if (grant.ok()) {
        self->SendObject(header, flags, *std::move(grant));
      } else {
        self->Reply(header, grant.status());
      }
    });
  };
  peer_.blocks() ? Offload(header, work) : work();
}

void Connection::SendObject(const Request& header, uint32_t flags, object::ReadGrant grant) {
  base::ByteWriter out;
  std::vector<base::UniqueFd> fds;
  const std::span<const object::Extent> shareable = grant.view->Shareable();
  if (!shareable.empty() && (flags & kGetNoDescriptors) == 0) {
    if (auto extents = Describe(shareable, 0, fds); extents.ok()) {
      out.U64(grant.lease.value);
      PutObject(out, grant.info);
      out.U8(static_cast<uint8_t>(Form::kShared)).U32(static_cast<uint32_t>(shareable.size()));
      PutExtents(out, *extents);
      return Reply(header, out.bytes(), {}, std::move(fds));
    }
    // Descriptors are short: the bytes can still be streamed.
  }
  if (grant.view->size() > kInlineLimit) {
    out.U64(grant.lease.value);
    PutObject(out, grant.info);
    out.U8(static_cast<uint8_t>(Form::kStream));
    return Reply(header, out.bytes());
  }
  std::vector<std::byte> copy;
  std::optional<base::ByteSpan> bytes = grant.view->Bytes();
  if (!bytes) {
    copy.resize(grant.view->size());
    const absl::Status read = grant.view->Read(0, copy);
    if (!read.ok()) {
      if (read.code() == absl::StatusCode::kDataLoss) peer_.ReportDamage(session_, grant.lease);
      peer_.Release(session_, grant.lease);
      return Reply(header, read);
    }
    bytes = copy;
  }
  out.U64(0);
  PutObject(out, grant.info);
  out.U8(static_cast<uint8_t>(Form::kInline));
  Reply(header, out.bytes(), *bytes);
  peer_.Release(session_, grant.lease);
}

absl::StatusOr<std::vector<WireExtent>> Connection::Describe(std::span<const object::Extent> all, size_t from,
                                                             std::vector<base::UniqueFd>& fds) {
  std::vector<WireExtent> extents;
  std::vector<uint32_t> fresh;
  base::MutexLock lock(mutex_);
  for (size_t i = from; i < all.size() && extents.size() < kMaxExtents; ++i) {
    const object::Extent& extent = all[i];
    WireExtent wire{.segment = static_cast<uint32_t>(extent.memory->id()),
                    .segment_size = extent.memory->size(),
                    .offset = extent.offset,
                    .length = extent.length};
    if (!mapped_.contains(wire.segment) && std::find(fresh.begin(), fresh.end(), wire.segment) == fresh.end()) {
      LARDER_ASSIGN_OR_RETURN(base::UniqueFd fd, extent.memory->OpenReadOnly());
      fds.push_back(std::move(fd));
      fresh.push_back(wire.segment);
      wire.has_descriptor = true;
    }
    extents.push_back(wire);
  }
  mapped_.insert(fresh.begin(), fresh.end());
  return extents;
}

void Connection::Extents(const Request& header, base::ByteReader& in) {
  const LeaseId lease{in.U64()};
  const uint32_t from = in.U32();
  if (auto bad = Finished(in, "EXTENTS"); !bad.ok()) return Malformed(header, bad);
  std::vector<base::UniqueFd> fds;
  base::ByteWriter out;
  if (const CreatingPtr creating = FindCreating(lease); creating != nullptr) {
    if (creating->window == nullptr) return Reply(header, NoCreation());
    if (absl::Status described = DescribeWindow(*creating->window, from, out, fds); !described.ok()) {
      return Reply(header, described);
    }
    return Reply(header, out.bytes(), {}, std::move(fds));
  }
  const auto view = peer_.ViewOf(session_, lease);
  if (!view.ok()) return Reply(header, view.status());
  const auto extents = Describe((*view)->Shareable(), from, fds);
  if (!extents.ok()) return Reply(header, extents.status());
  out.U32(static_cast<uint32_t>((*view)->Shareable().size()));
  PutExtents(out, *extents);
  Reply(header, out.bytes(), {}, std::move(fds));
}

void Connection::Read(const Request& header, base::ByteReader& in) {
  const LeaseId lease{in.U64()};
  const uint64_t offset = in.U64();
  const uint32_t length = in.U32();
  if (auto bad = Finished(in, "READ"); !bad.ok()) return Malformed(header, bad);
  if (length > kInlineLimit) {
    return Reply(header, base::InvalidArgument("TOO_LARGE", "a READ gives at most {} bytes", kInlineLimit));
  }
  auto work = [self = shared_from_this(), header, lease, offset, length] {
    const auto view = self->peer_.ViewOf(self->session_, lease);
    if (!view.ok()) return self->Reply(header, view.status());
    std::vector<std::byte> bytes(length);
    const absl::Status read = (*view)->Read(offset, bytes);
    if (read.code() == absl::StatusCode::kDataLoss) self->peer_.ReportDamage(self->session_, lease);
    read.ok() ? self->Reply(header, bytes) : self->Reply(header, read);
  };
  peer_.blocks() ? Offload(header, work) : work();
}

void Connection::List(const Request& header, base::ByteReader& in) {
  object::ListRequest request{.prefix = std::string(in.Str()), .after = std::string(in.Str()), .limit = in.U32()};
  if (auto bad = Finished(in, "LIST"); !bad.ok()) return Malformed(header, bad);
  const auto page = peer_.List(session_, request);
  if (!page.ok()) return Reply(header, page.status());
  base::ByteWriter objects;
  uint16_t count = 0;
  bool more = page->more;
  for (const object::ObjectInfo& info : page->objects) {
    base::ByteWriter one;
    PutObject(one, info);
    if (objects.size() + one.size() > kMaxRecord - kHeaderSize - 16) {
      more = true;
      break;
    }
    objects.Raw(one.bytes());
    ++count;
  }
  base::ByteWriter out;
  out.U8(more ? 1 : 0).U16(count);
  Reply(header, out.bytes(), objects.bytes());
}

}  // namespace larder::transport::uds
