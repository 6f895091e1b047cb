#include <algorithm>
#include <functional>
#include <optional>

#include "larder/base/status.h"
#include "src/batch.h"
#include "src/connection.h"
#include "src/messages.h"

// One handler per operation: validate, call the peer, reply. Those that write are in writing.cpp, those that read an
// object in reading.cpp.
namespace larder::transport::uds {

using object::LeaseId;

namespace {

bool InBatch(Op op) {
  return op == Op::kPut || op == Op::kGet || op == Op::kGetRange || op == Op::kRelease || op == Op::kStat ||
         op == Op::kDelete;
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
    case Op::kGetRange:
      return GetRange(header, in);
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
      auto work = [this, header, lease] {
        peer_.Release(session_, lease);
        Reply(header, absl::OkStatus());
      };
      return peer_.blocks() ? Offload(header, work) : work();  // the last reader of a deleted object frees it
    }
    case Op::kRenew: {
      if (auto bad = Finished(in, "RENEW"); !bad.ok()) return Malformed(header, bad);
      const auto lapsed = peer_.Renew(session_);
      if (!lapsed.ok()) return Reply(header, lapsed.status());
      base::ByteWriter out;
      PutLeases(out, *lapsed);
      for (const LeaseId lease : *lapsed) Forget(lease);
      return Reply(header, out.bytes());
    }
    case Op::kStat: {
      const std::string key(in.Str());
      if (auto bad = Finished(in, "STAT"); !bad.ok()) return Malformed(header, bad);
      return peer_.Stat(session_, key, [self = shared_from_this(), header](const auto& stat) {
        if (!stat.ok()) return self->Reply(header, stat.status());
        base::ByteWriter out;
        PutObject(out, stat->info);
        self->Reply(header, out.bytes());
      });
    }
    case Op::kDelete: {
      const std::string key(in.Str());
      if (auto bad = Finished(in, "DELETE"); !bad.ok()) return Malformed(header, bad);
      auto work = [self = shared_from_this(), header, key] {
        self->peer_.Delete(self->session_, key, [self, header](const auto& status) { self->Reply(header, status); });
      };
      return peer_.blocks() ? Offload(header, work) : work();
    }
    case Op::kPin: {
      const PinRequest pin = TakePin(in);
      if (auto bad = Finished(in, "PIN"); !bad.ok()) return Malformed(header, bad);
      auto work = [self = shared_from_this(), header, pin] {
        self->peer_.SetPinned(self->session_, pin.key, pin.pinned,
                              [self, header](const auto& status) { self->Reply(header, status); });
      };
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
      let_go_.erase(segment);
      revoked_.erase(segment);
    }
  }
  Withhold(unmapped.earlier_bytes);
  if (ring_ != nullptr && std::ranges::any_of(unmapped.segments, [&](uint32_t segment) {
        return segment == ring_->ranges.front().memory()->id();
      })) {
    base::MutexLock lock(mutex_);
    LetGo(*std::exchange(ring_, nullptr));
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
  if (header.batch != nullptr) header.batch->Flush();  // its neighbours have their answers
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
  const HelloRequest hello = TakeHello(in);
  if (auto bad = Finished(in, "HELLO"); !bad.ok()) return Malformed(header, bad);
  if (greeted()) return Malformed(header, BadRecord("HELLO comes once"));
  const object::ListenSettings& settings = server_.settings;
  absl::StatusOr<object::SessionOwner> owner =
      entrance_->door.identify({.pid = caller_.pid, .pidfd = caller_.pidfd.get()}, hello.ns);
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
  ns_ = owner->ns;
  rights_ = owner->rights;
  const EventLoop::Group group = std::hash<std::string>()(ns_);
  server_.loop->Move(fd_.get(), group);
  server_.loop->Move(caller_.pidfd.get(), group);  // what it holds is given back in their turn, too
  Withhold(hello.earlier_bytes);
  if (object::SessionTokens* tokens = entrance_->door.tokens; tokens != nullptr) {
    const absl::StatusOr<object::SessionToken> token = tokens->Issue(session_, *owner);
    if (!token.ok()) {
      Reply(header, token.status());
      return Close("denied");
    }
    token_ = *token;
  }
  base::ByteWriter out;
  PutWelcome(out, {.session = session_.value,
                   .token = std::string(base::AsText(token_.bytes)),
                   .lease_ttl = settings.lease_ttl,
                   .ns = ns_,
                   .node = settings.node,
                   .version = settings.version});
  Reply(header, out.bytes());
}

void Connection::List(const Request& header, base::ByteReader& in) {
  const object::ListRequest request = TakeList(in);
  if (auto bad = Finished(in, "LIST"); !bad.ok()) return Malformed(header, bad);
  peer_.List(session_, request, [self = shared_from_this(), header](const auto& page) {
    page.ok() ? self->ReplyList(header, *page) : self->Reply(header, page.status());
  });
}

void Connection::ReplyList(const Request& header, const object::ListPage& page) {
  base::ByteWriter objects;
  uint16_t count = 0;
  bool more = page.more;
  for (const object::ObjectInfo& info : page.objects) {
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
  PutListHead(out, more, count);
  Reply(header, out.bytes(), objects.bytes());
}

}  // namespace larder::transport::uds
