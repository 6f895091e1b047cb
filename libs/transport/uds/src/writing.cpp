#include <algorithm>

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "src/connection.h"
#include "src/messages.h"

// The handlers that make objects: CREATE, WINDOW, WRITE, SEAL, PUT, DISCARD.
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

}  // namespace

absl::Status Connection::NoCreation() {
  return base::Error(absl::StatusCode::kAborted, "LEASE_LOST",
                     "this connection holds no such create lease: create it again");
}

Connection::CreatingPtr Connection::FindCreating(LeaseId lease) {
  base::MutexLock lock(mutex_);
  auto it = creating_.find(lease);
  return it == creating_.end() ? nullptr : it->second;
}

void Connection::Forget(LeaseId lease) {
  CreatingPtr ended;  // its window is freed after the lock
  base::MutexLock lock(mutex_);
  if (auto node = creating_.extract(lease); !node.empty()) ended = std::move(node.mapped());
  if (ended != nullptr && ended->window != nullptr) LetGo(*ended->window);
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
                           PutCreationLease(out, {.lease = grant->lease, .epoch = grant->epoch});
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
  const WindowRequest request = TakeWindow(in);
  const uint64_t size = request.size;
  if (auto bad = Finished(in, "WINDOW"); !bad.ok()) return Malformed(header, bad);
  const bool ring = request.lease.value == 0;
  CreatingPtr creating = ring ? nullptr : FindCreating(request.lease);
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
    const object::ListenSettings& settings = self->server_.settings;
    // As much again as its objects may take.
    const uint64_t most = settings.rules ? settings.rules(self->ns_).memory : 0;
    absl::StatusOr<std::vector<arena::Range>> ranges =
        settings.arena->AllocateWindow(self->ns_, self->session_.value, size, most);
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
  ExtentList list{.total = static_cast<uint32_t>(window.ranges.size())};
  for (size_t i = from; i < window.ranges.size() && list.extents.size() < kMaxExtents; ++i) {
    const arena::Range& range = window.ranges[i];
    LARDER_ASSIGN_OR_RETURN(base::UniqueFd fd, range.OpenWritable());
    fds.push_back(std::move(fd));
    list.extents.push_back({.segment = static_cast<uint32_t>(range.memory()->id()),
                            .has_descriptor = true,
                            .segment_size = range.memory()->size(),
                            .offset = range.offset(),
                            .length = range.size()});
  }
  PutExtentList(out, list);
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
    peer_.BeginWork(session_);           // what waits keeps its leases
    if (peer_.AwaitRoom(session_, appended, writing->left, writing->room_by, [self = shared_from_this(), writing] {
          self->server_.loop->Post([self, writing] {
            self->LongWrite(*writing) ? self->Offload(writing->request, [self, writing] { self->RunWrite(writing); })
                                      : self->RunWrite(writing);
            self->peer_.EndWork(self->session_);
            self->Unhold();
          });
        })) {
      return;
    }
    peer_.EndWork(session_);
    server_.loop->Post([self = shared_from_this()] { self->Unhold(); });
  }
  Written(writing->request, *writing->creating, appended, writing->length);
}

void Connection::Written(const Request& header, Creating& creating, const absl::Status& appended, uint64_t length) {
  if (!appended.ok()) return Reply(header, appended);
  creating.written += length;
  Reply(header, base::ByteWriter().U64(creating.written).bytes());
}

void Connection::Write(const Request& header, base::ByteReader& in) {
  const WriteRequest request = TakeWrite(in);
  if (auto bad = Finished(in, "WRITE"); !bad.ok()) return Malformed(header, bad);
  const auto [lease, epoch] = request.creation;
  const bool is_inline = request.source == Source::kInline;
  const uint64_t offset = request.offset;
  const uint64_t length = is_inline ? request.bytes.size() : request.length;
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
    writing->copy.assign(request.bytes.begin(), request.bytes.end());
  } else {
    writing->window = request.source == Source::kRing ? ring_ : creating->window;
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
  const SealOrder order = TakeSeal(in);
  if (auto bad = Finished(in, "SEAL"); !bad.ok()) return Malformed(header, bad);
  const auto& [lease, epoch] = order.creation;
  const CreatingPtr creating = FindCreating(lease);
  const bool long_work =
      peer_.blocks() || (creating != nullptr && creating->compares && order.request.size > kCopyHere);
  auto work = [self = shared_from_this(), header, lease = lease, epoch = epoch, request = order.request] {
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
  PutOrder order = TakePut(in);
  if (auto bad = Finished(in, "PUT"); !bad.ok()) return Malformed(header, bad);
  if (order.bytes.size() > kInlineLimit) return Malformed(header, BadRecord("a PUT over the inline limit"));
  request->creation = std::move(order.creation);
  request->expected = order.expected;
  request->bytes.assign(order.bytes.begin(), order.bytes.end());
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
  const CreationLease creation = TakeCreationLease(in);
  if (auto bad = Finished(in, "DISCARD"); !bad.ok()) return Malformed(header, bad);
  auto work = [self = shared_from_this(), header, creation] {
    const absl::Status status = self->peer_.Discard(self->session_, creation.lease, creation.epoch);
    if (status.ok()) self->Forget(creation.lease);
    self->Reply(header, status);
  };
  peer_.blocks() ? Offload(header, work) : work();
}

}  // namespace larder::transport::uds
