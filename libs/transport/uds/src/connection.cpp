#include "src/connection.h"

#include <algorithm>
#include <array>
#include <optional>

#include "larder/base/status.h"
#include "src/batch.h"

namespace larder::transport::uds {
namespace {

constexpr size_t kMaxQueuedBytes = 8 * 1024 * 1024;
constexpr size_t kMaxRevoked = 4096;  // segments of one REVOKE
constexpr size_t kMaxLapsed = 4096;   // leases of one LAPSED
constexpr base::Duration kEarlierWithin = std::chrono::minutes(1);

// Descriptors are refused, whoever has them, once too many of the agent's user are under way (ETOOMANYREFS). The record
// goes without them then: its client sees what is missing, and reads by READ.
absl::Status SendAsFarAsPossible(int fd, std::span<const base::ByteSpan> parts, std::span<const int> fds) {
  absl::Status sent = SendRecord(fd, parts, fds, false);
  if (sent.ok() || fds.empty() || base::Reason(sent) == "WOULD_BLOCK") return sent;
  return SendRecord(fd, parts, {}, false);
}

}  // namespace

Connection::Connection(ServerContext& server, std::shared_ptr<const Entrance> entrance, base::UniqueFd fd,
                       Caller caller, std::function<void(Connection&)> closed)
    : server_(server),
      peer_(*server.settings.peer),
      entrance_(std::move(entrance)),
      fd_(std::move(fd)),
      caller_(std::move(caller)),
      closed_cb_(std::move(closed)),
      since_(server.settings.clock->Now()) {}

absl::Status Connection::Start() {
  LARDER_RETURN_IF_ERROR(server_.loop->Add(
      fd_.get(), EPOLLIN, [self = shared_from_this()](uint32_t events) { self->OnEvent(events); },
      entrance_->strangers));
  if (caller_.pidfd) {
    // A forked child may keep the socket open: the process's own end is what counts.
    LARDER_RETURN_IF_ERROR(server_.loop->Add(
        caller_.pidfd.get(), EPOLLIN, [self = shared_from_this()](uint32_t) { self->Close(""); },
        entrance_->strangers));
  }
  return absl::OkStatus();
}

void Connection::Close(std::string_view why) {
  if (std::exchange(closed_, true)) return;
  const std::shared_ptr<Connection> self = shared_from_this();  // the handlers below hold the last references
  if (!why.empty() && server_.settings.observer != nullptr) server_.settings.observer->Denied(why);
  server_.loop->Remove(fd_.get());
  if (caller_.pidfd) server_.loop->Remove(caller_.pidfd.get());
  std::map<object::LeaseId, CreatingPtr> creating;
  std::deque<Out> out;
  {
    base::MutexLock lock(mutex_);
    gone_ = true;
    creating.swap(creating_);
    out.swap(out_);
    fd_.Reset();  // under the lock: another thread may be about to send
  }
  Withhold(0);
  // Last: a client that waits must find the connection lost, and make another, not hear that its session has ended.
  if (session_.value != 0) {
    if (entrance_->door.tokens != nullptr) entrance_->door.tokens->Revoke(token_);
    EndSession();
  }
  closed_cb_(*this);
}

void Connection::EndSession() {
  // Removes files, and makes those that others waited for.
  auto work = [self = shared_from_this()] { self->peer_.CloseSession(self->session_); };
  if (!peer_.blocks() || !HandOver(work)) work();
}

bool Connection::StillAllowed() const {
  if (!greeted()) return true;
  const auto owner = entrance_->door.identify({.pid = caller_.pid, .pidfd = caller_.pidfd.get()}, ns_);
  return owner.ok() && owner->rights.Contains(rights_);
}

void Connection::CloseLater(std::string_view why) {
  server_.loop->Post([self = shared_from_this(), why = std::string(why)] { self->Close(why); });
}

void Connection::OnEvent(uint32_t events) {
  if (closed_) return;
  if ((events & EPOLLOUT) != 0) SendQueued();
  if ((events & EPOLLIN) != 0 && !closed_ && (interest_ & EPOLLIN) != 0) {
    ReadOne();
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    Close("");
  }
}

void Connection::ReadOne() {
  static thread_local std::vector<std::byte> buffer(kMaxRecord);
  const size_t limit = greeted() ? kMaxRecord : kMaxFirstRecord;
  absl::StatusOr<Received> received = ReceiveRecord(fd_.get(), base::MutableByteSpan(buffer).first(limit), false);
  if (!received.ok()) {
    if (base::Reason(received.status()) != "WOULD_BLOCK") Close("");
    return;
  }
  received->fds.clear();  // no operation takes any
  if (received->truncated) return Malformed({}, BadRecord(fmt::format("it has more than {} bytes", limit)));
  const base::ByteSpan record(buffer.data(), received->size);
  const absl::StatusOr<Header> header = DecodeHeader(record);
  if (!header.ok()) return Malformed({}, header.status());
  Handle(Request{*header}, record.subspan(kHeaderSize));
}

void Connection::UpdateInterest() {
  if (closed_) return;
  uint32_t wanted = 0;
  {
    base::MutexLock lock(mutex_);
    // Who does not read is not read: what it asked for would pile up here, with its descriptors.
    if (held_ == 0 && out_.empty()) wanted |= EPOLLIN;
    if (!out_.empty()) wanted |= EPOLLOUT;
  }
  if (std::exchange(interest_, wanted) != wanted) server_.loop->Modify(fd_.get(), wanted);
}

void Connection::Reply(const Request& request, const absl::Status& status) {
  if (status.ok()) return Reply(request, base::ByteSpan());
  base::ByteWriter out;
  PutError(out, status);
  Answer(request, static_cast<uint32_t>(status.code()), out.bytes(), {}, {});
}

void Connection::Reply(const Request& request, base::ByteSpan payload, base::ByteSpan tail,
                       std::vector<base::UniqueFd> fds) {
  Answer(request, 0, payload, tail, std::move(fds));
}

void Connection::Answer(const Request& request, uint32_t code, base::ByteSpan payload, base::ByteSpan tail,
                        std::vector<base::UniqueFd> fds) {
  if (request.request_id == 0) return;
  if (request.batch != nullptr) return request.batch->Add(request.item, code, payload, tail, std::move(fds));
  Send({.op = request.op, .request_id = request.request_id, .code = code}, payload, tail, std::move(fds));
}

void Connection::Send(const Header& header, base::ByteSpan payload, base::ByteSpan tail,
                      std::vector<base::UniqueFd> fds) {
  Header full = header;
  full.length = static_cast<uint32_t>(payload.size() + tail.size());
  std::array<std::byte, kHeaderSize> head;
  EncodeHeader(full, head.data());
  const std::array<base::ByteSpan, 3> parts{head, payload, tail};
  std::vector<int> numbers;
  for (const base::UniqueFd& fd : fds) numbers.push_back(fd.get());

  base::MutexLock lock(mutex_);
  if (gone_) return;
  if (out_.empty()) {
    const absl::Status sent = SendAsFarAsPossible(fd_.get(), parts, numbers);
    if (sent.ok()) return;
    if (base::Reason(sent) != "WOULD_BLOCK") return CloseLater("");
  }
  if (out_.empty()) out_moved_ = server_.settings.clock->Now();
  Out queued;
  for (const base::ByteSpan part : parts) queued.record.insert(queued.record.end(), part.begin(), part.end());
  queued.fds = std::move(fds);
  out_bytes_ += queued.record.size();
  out_.push_back(std::move(queued));
  if (out_bytes_ > kMaxQueuedBytes) return CloseLater("slow");  // it asks and never reads
  server_.loop->Post([self = shared_from_this()] { self->UpdateInterest(); });
}

void Connection::SendQueued() {
  {
    base::MutexLock lock(mutex_);
    while (!out_.empty()) {
      std::vector<int> numbers;
      for (const base::UniqueFd& fd : out_.front().fds) numbers.push_back(fd.get());
      const std::array<base::ByteSpan, 1> parts{out_.front().record};
      const absl::Status sent = SendAsFarAsPossible(fd_.get(), parts, numbers);
      if (base::Reason(sent) == "WOULD_BLOCK") break;
      if (!sent.ok()) {
        CloseLater("");
        break;
      }
      out_bytes_ -= out_.front().record.size();
      out_.pop_front();
      out_moved_ = server_.settings.clock->Now();
    }
  }
  UpdateInterest();
}

void Connection::Hold() {
  ++held_;
  UpdateInterest();
}

void Connection::Unhold() {
  --held_;
  UpdateInterest();
}

bool Connection::HandOver(std::function<void()> work) {
  std::optional<base::Gate::Pass> pass = server_.offloaded->Enter();
  return pass && server_.settings.executor->Submit([work = std::move(work), inside = std::make_shared<base::Gate::Pass>(
                                                                                *std::move(pass))] { work(); });
}

void Connection::Offload(const Request& request, std::function<void()> work) {
  Hold();
  peer_.BeginWork(session_);
  const bool taken = HandOver([self = shared_from_this(), work = std::move(work)] {
    work();
    self->peer_.EndWork(self->session_);
    self->server_.loop->Post([self] { self->Unhold(); });
  });
  if (taken) return;
  peer_.EndWork(session_);
  Unhold();
  Reply(request, base::Error(absl::StatusCode::kUnavailable, "STOPPING", "the agent is stopping: connect again"));
}

bool Connection::BeginWaiting() {
  base::MutexLock lock(mutex_);
  if (waiting_ >= kMaxWaiting) return false;
  ++waiting_;
  return true;
}

void Connection::EndWaiting() {
  base::MutexLock lock(mutex_);
  --waiting_;
}

bool Connection::Stalled(base::MonotonicTime now, base::Duration limit) {
  base::MutexLock lock(mutex_);
  return !out_.empty() && now - out_moved_ > limit;
}

bool Connection::Revoke(std::span<const uint64_t> quarantined, base::MonotonicTime now, base::Duration limit) {
  std::vector<uint32_t> asked;
  {
    base::MutexLock lock(mutex_);
    // A window that is not in quarantine was let go, or is about to be: its last users are in the agent.
    std::erase_if(let_go_, [&](uint32_t segment) { return !std::ranges::binary_search(quarantined, segment); });
    for (const uint64_t id : quarantined) {
      const auto segment = static_cast<uint32_t>(id);
      if (!mapped_.contains(segment) && !let_go_.contains(segment)) continue;
      const auto since = revoked_.find(segment);
      if (since == revoked_.end()) {
        if (asked.size() == kMaxRevoked) continue;  // at the next round
        revoked_.emplace(segment, now);
        asked.push_back(segment);
      } else if (now - since->second > limit && held_ == 0) {
        return false;  // while it is held, what it answered may wait behind a write that the agent holds up
      }
    }
  }
  if (asked.empty()) return true;
  base::ByteWriter out;
  PutSegments(out, asked);
  Send({.op = Op::kRevoke}, out.bytes(), {}, {});
  return true;
}

void Connection::LetGo(const SharedWindow& window) {
  for (const arena::Range& range : window.ranges) let_go_.insert(static_cast<uint32_t>(range.memory()->id()));
}

void Connection::OnLapsed(const std::vector<object::LeaseId>& leases) {
  for (const object::LeaseId lease : leases) Forget(lease);
  for (size_t at = 0; at < leases.size(); at += kMaxLapsed) {
    base::ByteWriter out;
    PutLeases(out, std::span(leases).subspan(at, std::min(kMaxLapsed, leases.size() - at)));
    Send({.op = Op::kLapsed}, out.bytes(), {}, {});
  }
}

void Connection::Withhold(uint64_t bytes) {
  arena::Arena* arena = server_.settings.arena;
  if (arena == nullptr) return;
  // Clients of an earlier agent come at once after it; who comes later is not believed.
  if (bytes > withheld_.bytes() && server_.settings.clock->Now() - server_.from > kEarlierWithin) return;
  withheld_.Shrink(bytes);
  if (bytes <= withheld_.bytes()) return;
  absl::StatusOr<arena::PrivateCharge> more = arena->Withhold(ns_, bytes - withheld_.bytes());
  if (more.ok()) withheld_.Add(*std::move(more));  // else too much to be believed, or there is no room to leave unused
}

}  // namespace larder::transport::uds
