#include "src/channel.h"

#include <algorithm>
#include <chrono>

#include "larder/base/status.h"

namespace larder::transport::uds {
namespace {

constexpr base::Duration kHelloWait = std::chrono::seconds(10);
constexpr base::Duration kAnswerSlack = std::chrono::seconds(1);

}  // namespace

absl::StatusOr<std::shared_ptr<Session>> Session::Open(const std::string& directory,
                                                       const object::DialOptions& options) {
  LARDER_ASSIGN_OR_RETURN(base::UniqueFd fd, ConnectTo(directory + "/" + std::string(kSocketName)));
  auto session = std::make_shared<Session>(std::move(fd));
  base::ByteWriter hello;
  hello.Str(options.ns).U64(0).Str("larder C++");
  const base::Deadline limit = std::min(options.deadline, base::SystemClock().Now() + kHelloWait);
  LARDER_ASSIGN_OR_RETURN(const Reply reply, session->link.Call(Op::kHello, hello.bytes(), limit));
  base::ByteReader in(reply.payload);
  in.U64();    // session
  in.Raw(16);  // token
  Welcome& welcome = session->welcome;
  welcome.lease_ttl = std::chrono::milliseconds(in.U32());
  welcome.inline_limit = std::min(in.U32(), kInlineLimit);
  welcome.piece_limit = in.U32();
  welcome.ns = in.Str();
  welcome.node = in.Str();
  in.Str();  // version
  LARDER_RETURN_IF_ERROR(Finished(in, "HELLO's reply"));
  return session;
}

Session::~Session() {
  link.Break();
  if (!renewer_.joinable()) return;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    stop_.NotifyAll();
  }
  renewer_.join();
}

void Session::KeepRenewing() {
  if (renewing_.exchange(true)) return;
  renewer_ = std::thread([this] { Renew(); });
}

void Session::Renew() {
  base::MutexLock lock(mutex_);
  while (!stopping_ && !link.broken()) {
    const auto next = std::chrono::steady_clock::now() + welcome.lease_ttl / 3;
    while (!stopping_ && stop_.WaitUntil(mutex_, next)) {
    }
    if (stopping_) return;
    mutex_.Unlock();
    ring.ReturnIdle();
    SayUnmapped(segments.DropUnused());
    // What lapsed says so itself when it is next used.
    link.Call(Op::kRenew, {}, base::SystemClock().Now() + welcome.lease_ttl).IgnoreError();
    mutex_.Lock();
  }
}

void Session::Absorb(Op op, Reply& reply) {
  base::ByteReader in(reply.payload);
  if (op == Op::kGet) {
    in.U64();
    TakeObject(in);
    if (static_cast<Form>(in.U8()) != Form::kShared) return;
  }
  in.U32();
  size_t next = 0;
  for (const WireExtent& extent : TakeExtents(in)) {
    if (extent.has_descriptor && next < reply.fds.size()) {
      segments.Add(extent.segment, extent.segment_size, std::move(reply.fds[next++]));
    }
  }
}

void Session::TrimSegments() { SayUnmapped(segments.Trim()); }

void Session::SayUnmapped(const std::vector<uint32_t>& ids) {
  constexpr size_t kPerRecord = 4096;
  for (size_t at = 0; at < ids.size(); at += kPerRecord) {
    const std::span<const uint32_t> some = std::span(ids).subspan(at, std::min(kPerRecord, ids.size() - at));
    base::ByteWriter out;
    PutUnmapped(out, {.segments = {some.begin(), some.end()}});
    link.Tell(Op::kUnmapped, out.bytes());
  }
}

uint32_t Session::WaitMs(base::Deadline deadline) {
  if (deadline == base::kNoDeadline) return kNoWaitLimit;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - base::SystemClock().Now());
  return static_cast<uint32_t>(std::clamp<int64_t>(left.count(), 0, kNoWaitLimit - 1));
}

base::Deadline Session::AnswerBy(base::Deadline deadline) {
  return deadline == base::kNoDeadline ? deadline : deadline + kAnswerSlack;
}

// ---- the channel

absl::StatusOr<std::unique_ptr<object::ObjectWriter>> UdsChannel::Create(const object::CreateRequest& request,
                                                                         base::Deadline deadline) {
  return OpenWriter(session_, request, deadline);
}

absl::StatusOr<std::unique_ptr<object::ObjectReader>> UdsChannel::Get(const std::string& key, base::Deadline deadline) {
  return OpenReader(session_, key, deadline);
}

absl::StatusOr<object::SealResult> UdsChannel::Put(const object::CreateRequest& request, base::ByteSpan bytes,
                                                   base::Deadline deadline) {
  if (bytes.size() > session_->welcome.inline_limit) {
    object::CreateRequest sized = request;
    sized.size_hint = bytes.size();
    LARDER_ASSIGN_OR_RETURN(std::unique_ptr<object::ObjectWriter> writer, Create(sized, deadline));
    LARDER_RETURN_IF_ERROR(writer->Write(bytes));
    return writer->Seal({});
  }
  base::ByteWriter out;
  PutCreation(out, {.request = request, .wait_ms = Session::WaitMs(deadline)});
  PutDigest(out, {});
  LARDER_ASSIGN_OR_RETURN(const Reply reply,
                          session_->link.Call(Op::kPut, out.bytes(), Session::AnswerBy(deadline), bytes));
  base::ByteReader in(reply.payload);
  object::SealResult result = TakeSealed(in);
  LARDER_RETURN_IF_ERROR(Finished(in, "PUT's reply"));
  result.info.id.ns = ns();
  return result;
}

absl::StatusOr<object::ObjectInfo> UdsChannel::Stat(const std::string& key) {
  base::ByteWriter out;
  out.Str(key);
  LARDER_ASSIGN_OR_RETURN(const Reply reply, session_->link.Call(Op::kStat, out.bytes()));
  base::ByteReader in(reply.payload);
  object::ObjectInfo info = TakeObject(in);
  LARDER_RETURN_IF_ERROR(Finished(in, "STAT's reply"));
  info.id.ns = ns();
  return info;
}

absl::StatusOr<object::ListPage> UdsChannel::List(const object::ListRequest& request) {
  base::ByteWriter out;
  out.Str(request.prefix).Str(request.after).U32(request.limit);
  LARDER_ASSIGN_OR_RETURN(const Reply reply, session_->link.Call(Op::kList, out.bytes()));
  base::ByteReader in(reply.payload);
  object::ListPage page;
  page.more = in.U8() != 0;
  for (uint16_t n = in.U16(); n > 0 && in.ok(); --n) {
    page.objects.push_back(TakeObject(in));
    page.objects.back().id.ns = ns();
  }
  LARDER_RETURN_IF_ERROR(Finished(in, "LIST's reply"));
  return page;
}

absl::Status UdsChannel::Delete(const std::string& key) {
  base::ByteWriter out;
  out.Str(key);
  return session_->link.Call(Op::kDelete, out.bytes()).status();
}

absl::Status UdsChannel::SetPinned(const std::string& key, bool pinned) {
  base::ByteWriter out;
  out.U8(pinned ? 1 : 0).Str(key);
  return session_->link.Call(Op::kPin, out.bytes()).status();
}

}  // namespace larder::transport::uds
