#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "larder/base/backoff.h"
#include "larder/base/status.h"
#include "src/batch_call.h"
#include "src/keeper.h"

// The keeper's thread, and what happens from one agent to the next.
namespace larder::transport::uds {
namespace {

using std::chrono::steady_clock;

constexpr base::Duration kLook = std::chrono::seconds(1);  // how long what the agent asks may lie unread
constexpr base::Duration kAnswerWait = std::chrono::seconds(10);
constexpr base::Duration kFirstPause = std::chrono::milliseconds(100);
constexpr base::Duration kLongestPause = std::chrono::seconds(1);

}  // namespace

// ---- connecting

base::Deadline Keeper::CallDeadline() const { return base::DeadlineAfter(steady_clock::now(), options_.call_timeout); }

absl::Status Keeper::DoesNotAnswer() const {
  return base::Error(absl::StatusCode::kUnavailable, "NO_AGENT",
                     "the agent at {} does not answer (is it stopped or overloaded?)", socket_);
}

absl::StatusOr<std::shared_ptr<Session>> Keeper::Connect(base::Deadline deadline) {
  {
    base::MutexLock lock(mutex_);
    while (connecting_) {
      if (steady_clock::now() >= deadline) return DoesNotAnswer();
      deadline == base::kNoDeadline ? changed_.Wait(mutex_) : (void)changed_.WaitUntil(mutex_, deadline);
    }
    connecting_ = true;
  }
  absl::StatusOr<std::shared_ptr<Session>> session = ConnectInTurn(deadline);
  base::MutexLock lock(mutex_);
  connecting_ = false;
  changed_.NotifyAll();
  return session;
}

absl::StatusOr<std::shared_ptr<Session>> Keeper::ConnectInTurn(base::Deadline deadline) {
  std::shared_ptr<Session> session;
  {
    base::MutexLock lock(mutex_);
    session = session_;
  }
  if (session != nullptr && !session->link.AtEnd()) return session;
  if (session != nullptr) Leave(session);
  LARDER_ASSIGN_OR_RETURN(session, Dial(deadline));
  {
    base::MutexLock lock(mutex_);
    session_ = session;
    last_failure_ = absl::OkStatus();
    connected_ = steady_clock::now();
    next_renewal_ = connected_ + session->welcome.lease_ttl / 3;
  }
  Regain(session, AnswerBy(deadline));
  base::MutexLock lock(mutex_);
  woken_ = true;
  wake_.NotifyOne();
  return session;
}

absl::StatusOr<std::shared_ptr<Session>> Keeper::Dial(base::Deadline deadline) {
  LARDER_ASSIGN_OR_RETURN(base::UniqueFd fd, ConnectTo(socket_));
  const std::shared_ptr<Session> session = Session::Make(*this, std::move(fd));
  uint64_t earlier = 0;
  {
    base::MutexLock lock(mutex_);
    if (stopping_) return base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "the client has ended");
    greeting_ = session;
    earlier = said_earlier_ = EarlierBytes();
  }
  absl::Status greeted = session->Greet(options_.ns, earlier, std::min(deadline, steady_clock::now() + kAnswerWait));
  {
    base::MutexLock lock(mutex_);
    greeting_ = nullptr;
  }
  if (greeted.code() == absl::StatusCode::kDeadlineExceeded) return DoesNotAnswer();
  if (!greeted.ok()) return base::Annotate(greeted, socket_);
  return session;
}

void Keeper::Leave(const std::shared_ptr<Session>& session) {
  std::vector<std::weak_ptr<const Mapping>> written = session->Leave();
  base::MutexLock lock(mutex_);
  if (session_ != session) return;
  session_ = nullptr;
  for (auto& held : {segments_.Leave(), std::move(written)}) {
    earlier_.insert(earlier_.end(), held.begin(), held.end());
  }
  EarlierBytes();  // forgets those that are gone already
  asked_back_.clear();
  releases_.clear();
  has_releases_.store(false, std::memory_order_relaxed);
  for (Lease* lease : leases_) lease->session = nullptr;
  // An agent that ends every connection at once is not to be asked again at once.
  const base::MonotonicTime now = steady_clock::now();
  failures_ = now - connected_ < kLongestPause ? failures_ + 1 : 0;
  next_try_ = failures_ == 0 ? now : now + Pause(failures_, kFirstPause / 2);
  try_until_ = now + options_.reconnect_window;
  last_failure_ = base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST",
                              "the connection to the agent at {} has ended", directory_);
  woken_ = true;
  wake_.NotifyOne();
  changed_.NotifyAll();
}

base::Duration Keeper::Pause(int failures, base::Duration first) const {
  // Whoever begins to wait while others do sees a try of their own, too, before their window ends.
  const base::Duration longest = std::min<base::Duration>(kLongestPause, options_.reconnect_window / 2);
  return base::BackoffDelay(failures, std::min(first, longest), longest, base::BackoffRandom());
}

bool Keeper::HasOrphans() const {
  return std::ranges::any_of(leases_, [](const Lease* lease) {
    return lease->kind != Lease::Kind::kCreate && lease->session == nullptr && lease->verdict.ok();
  });
}

// ---- what readers had

void Keeper::Regain(const std::shared_ptr<Session>& session, base::Deadline deadline) {
  std::vector<Orphan> orphans;
  {
    base::MutexLock lock(mutex_);
    lapses_ = false;
    for (const Lease* lease : leases_) {
      if (lease->kind != Lease::Kind::kRead || lease->session != nullptr || !lease->verdict.ok()) continue;
      orphans.push_back({.number = lease->number, .key = std::string(lease->key), .epoch = lease->epoch});
    }
  }
  if (orphans.empty()) return;
  BatchCall batch(session->link, Op::kGet, std::min(deadline, steady_clock::now() + kAnswerWait),
                  [&](size_t i, uint32_t code, base::ByteSpan payload, const Record&) {
                    Orphan& orphan = orphans[i];
                    if (code != 0) {
                      orphan.verdict = base::Annotate(TakeError(code, payload),
                                                      fmt::format("'{}' (epoch {})", orphan.key, orphan.epoch.value));
                      return;
                    }
                    base::ByteReader in(payload);
                    const GetAnswer answer = TakeGetAnswer(in);
                    const object::ObjectInfo& info = answer.info;
                    orphan.lease = answer.lease;
                    if (in.ok() && orphan.lease.value != 0 && info.epoch == orphan.epoch) return;
                    orphan.verdict =
                        base::Error(absl::StatusCode::kAborted, "EPOCH_STALE",
                                    "'{}' was read in epoch {}, epoch {} has taken its place: get it again", orphan.key,
                                    orphan.epoch.value, info.epoch.value);
                  });
  base::ByteWriter get;
  for (size_t i = 0; i < orphans.size(); ++i) {
    get.Clear();
    // The bytes are there, or asked for one by one: no descriptors.
    PutGet(get, {.flags = kGetNoDescriptors, .key = orphans[i].key});
    batch.Add(i, get.bytes());
  }
  batch.Finish().IgnoreError();  // those without an answer stay orphans
  Adopt(session, std::move(orphans));
}

void Keeper::Adopt(const std::shared_ptr<Session>& session, std::vector<Orphan> found) {
  std::map<uint64_t, Orphan> by_number;
  for (Orphan& orphan : found) by_number.emplace(orphan.number, std::move(orphan));
  std::vector<object::LeaseId> unused;
  {
    base::MutexLock lock(mutex_);
    if (session_ != session) return;
    for (Lease* lease : leases_) {
      auto it = by_number.find(lease->number);
      if (it == by_number.end()) continue;
      lease->verdict = std::move(it->second.verdict);
      if (lease->verdict.ok() && it->second.lease.value != 0) {
        lease->id = std::exchange(it->second.lease, {});
        lease->session = session;
      }
    }
    changed_.NotifyAll();
  }
  // Of other epochs, or of readers that have ended meanwhile.
  for (const auto& [number, orphan] : by_number) {
    if (orphan.lease.value != 0) unused.push_back(orphan.lease);
  }
  for (size_t at = 0; at < unused.size(); at += kMaxBatch) {
    Release(*session, std::span(unused).subspan(at, std::min(kMaxBatch, unused.size() - at)));
  }
}

absl::StatusOr<Keeper::Grip> Keeper::GripOf(Lease& lease, base::Deadline deadline) {
  base::MutexLock lock(mutex_);
  const base::MonotonicTime until = steady_clock::now() + options_.reconnect_window;
  while (true) {
    if (const std::shared_ptr<Session> session = lease.session; session != nullptr) {
      if (!session->link.lost()) return Grip{session, lease.id};
      mutex_.Unlock();
      Leave(session);
      mutex_.Lock();
    }
    if (!lease.verdict.ok()) return lease.verdict;
    if (lease.kind == Lease::Kind::kRange && session_ != nullptr && !session_->link.lost()) return Grip{session_, {}};
    const base::MonotonicTime now = steady_clock::now();
    if (now >= until || now >= deadline || stopping_) return GaveUp(now >= deadline);
    if (try_until_ < until) {
      if (now >= try_until_) next_try_ = now;
      try_until_ = until;
      woken_ = true;
      wake_.NotifyOne();
    }
    (void)changed_.WaitUntil(mutex_, std::min(until, deadline));
  }
}

absl::Status Keeper::GaveUp(bool due) const {
  const absl::Status why = !last_failure_.ok() ? last_failure_
                                               : base::Error(absl::StatusCode::kAborted, "LEASE_LOST",
                                                             "the lease lapsed, and no other was given in time");
  if (due) return base::MakeError(absl::StatusCode::kDeadlineExceeded, base::Reason(why), base::Message(why));
  if (options_.reconnect_window == base::Duration::zero()) return why;
  const auto window = std::chrono::duration<double>(options_.reconnect_window).count();
  return base::Annotate(why, fmt::format("tried to connect again for {:.3g} s", window));
}

// ---- the thread

base::MonotonicTime Keeper::NextLook() const {
  const base::MonotonicTime now = steady_clock::now();
  if (woken_) return now;
  if (session_ != nullptr) return std::min(now + kLook, next_renewal_);
  return next_try_ < try_until_ && HasOrphans() ? next_try_ : base::kNoDeadline;
}

void Keeper::Run() {
  base::MutexLock lock(mutex_);
  while (!stopping_) {
    const base::MonotonicTime until = NextLook();
    if (steady_clock::now() < until) {
      until == base::kNoDeadline ? wake_.Wait(mutex_) : (void)wake_.WaitUntil(mutex_, until);
      if (!woken_ && steady_clock::now() < until) continue;
    }
    if (stopping_) return;
    woken_ = false;
    mutex_.Unlock();
    Look();
    mutex_.Lock();
  }
}

void Keeper::Look() {
  std::shared_ptr<Session> session;
  {
    base::MutexLock lock(mutex_);
    session = session_;
  }
  if (session == nullptr) return TryAgain();
  session->link.ReadWhatCame();
  session->link.SendUntold().IgnoreError();
  if (session->link.lost()) return Leave(session);
  AnswerNotices(session);
  SendReleases(kLook / 2);
  bool renews = false, says = false;
  {
    base::MutexLock lock(mutex_);
    renews = steady_clock::now() >= next_renewal_;
    says = !earlier_.empty() && EarlierBytes() != said_earlier_;
    if (renews) next_renewal_ = steady_clock::now() + session->welcome.lease_ttl / 3;
  }
  if (says) TellUnmapped(*session, {});
  if (renews) Renew(*session);
}

void Keeper::AnswerNotices(const std::shared_ptr<Session>& session) {
  std::vector<uint32_t> asked;
  bool lapses = false;
  {
    base::MutexLock lock(mutex_);
    asked = std::exchange(asked_back_, {});
    lapses = lapses_;
  }
  if (!asked.empty()) {
    SayUnmapped(*session, session->ring.AskedBack(asked));
    Unwanted unwanted;
    {
      base::MutexLock lock(mutex_);
      if (session_ == session) unwanted = segments_.AskedBack(asked);
    }
    SayUnmapped(*session, std::move(unwanted));
  }
  if (lapses) Regain(session, base::kNoDeadline);
}

void Keeper::Renew(Session& session) {
  SayUnmapped(session, session.ring.ReturnIdle());
  Unwanted unwanted;
  {
    base::MutexLock lock(mutex_);
    if (session_.get() == &session) unwanted = segments_.DropUnused();
  }
  SayUnmapped(session, std::move(unwanted));
  const base::Deadline limit = steady_clock::now() + std::max(session.welcome.lease_ttl, kAnswerWait);
  const auto reply = session.link.Call(Op::kRenew, {}, limit);
  if (!reply.ok()) return;  // the next look sees what became of the connection
  base::ByteReader in(reply->payload);
  Lapsed(session, TakeLeases(in));
}

void Keeper::TryAgain() {
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = steady_clock::now();
    if (now < next_try_ || now >= try_until_ || !HasOrphans()) return;
  }
  const absl::Status connected = Connect(base::kNoDeadline).status();
  if (connected.ok()) return;
  base::MutexLock lock(mutex_);
  last_failure_ = connected;
  next_try_ = steady_clock::now() + Pause(failures_++, kFirstPause);
}

}  // namespace larder::transport::uds
