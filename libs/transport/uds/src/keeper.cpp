#include "src/keeper.h"

#include <algorithm>
#include <chrono>
#include <unordered_set>

#include "larder/base/status.h"

namespace larder::transport::uds {
namespace {

absl::Status SessionOver() {
  return base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "the connection to the agent has ended");
}

}  // namespace

Keeper::Keeper(std::string directory, object::DialOptions options)
    : directory_(std::move(directory)),
      socket_(directory_ + "/" + std::string(kSocketName)),
      options_(std::move(options)) {}

std::shared_ptr<Keeper> Keeper::Make(std::string directory, object::DialOptions options) {
  // In a forked child it is left as it is: its thread is not there to be joined, its locks may be held for ever.
  return {new Keeper(std::move(directory), std::move(options)), [](Keeper* keeper) {
            if (!keeper->InChild()) delete keeper;
          }};
}

Keeper::~Keeper() {
  std::shared_ptr<Session> session, greeting;
  std::thread thread;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    session = session_;
    greeting = greeting_;
    thread = std::move(thread_);
    wake_.NotifyAll();
  }
  if (session != nullptr) session->link.Break();
  if (greeting != nullptr) greeting->link.Break();
  if (thread.joinable()) thread.join();
}

// ---- leases

void Keeper::Add(Lease& lease) {
  lease.number = ++last_number_;
  lease.place = leases_.size();
  leases_.push_back(&lease);
  if (lease.group != nullptr) ++lease.group->open;
  if (thread_.joinable() || stopping_) return;
  next_renewal_ = std::chrono::steady_clock::now() + session_->welcome.lease_ttl / 3;
  thread_ = std::thread([this] { Run(); });
}

void Keeper::Remove(Lease& lease) {
  if (std::exchange(lease.number, 0) == 0) return;
  leases_[lease.place] = leases_.back();
  leases_[lease.place]->place = lease.place;
  leases_.pop_back();
  if (lease.group != nullptr) --lease.group->open;
}

absl::Status Keeper::Hold(Lease& lease) {
  base::MutexLock lock(mutex_);
  if (lease.session != session_) return SessionOver();
  Add(lease);
  return absl::OkStatus();
}

absl::StatusOr<Mapped> Keeper::HoldMapped(Lease& lease, const std::vector<WireExtent>& extents) {
  base::MutexLock lock(mutex_);
  if (lease.session != session_) return SessionOver();
  LARDER_ASSIGN_OR_RETURN(Mapped mapped, segments_.Map(extents));
  Add(lease);
  return mapped;
}

std::vector<object::LeaseId> Keeper::Ending(const Lease& lease) {
  if (lease.group == nullptr) return {lease.id};
  if (releases_.empty()) oldest_release_ = std::chrono::steady_clock::now();
  releases_.push_back(lease.id);
  if (lease.group->open > 0 && releases_.size() < kMaxBatch) {
    has_releases_.store(true, std::memory_order_relaxed);
    return {};
  }
  has_releases_.store(false, std::memory_order_relaxed);
  return std::exchange(releases_, {});
}

void Keeper::End(Lease& lease) {
  std::shared_ptr<Session> session;
  std::vector<object::LeaseId> ending;
  Unwanted unwanted;
  {
    base::MutexLock lock(mutex_);
    Remove(lease);
    const std::shared_ptr<Session> held = std::move(lease.session);
    if (session_ == nullptr) return;
    session = session_;
    if (lease.kind != Lease::Kind::kCreate && held == session) ending = Ending(lease);
    unwanted = segments_.Trim();
  }
  if (!ending.empty()) Release(*session, ending);
  SayUnmapped(*session, std::move(unwanted));
}

void Keeper::Release(Session& session, std::span<const object::LeaseId> leases) {
  if (leases.size() == 1) return session.Release(leases.front());
  base::ByteWriter items;
  for (const object::LeaseId lease : leases) {
    PutBatchItem(items, Op::kRelease, std::as_bytes(std::span(&lease.value, 1)));
  }
  session.link.Tell(Op::kBatch, base::ByteWriter().U16(static_cast<uint16_t>(leases.size())).bytes(), items.bytes());
}

void Keeper::SendReleases(base::Duration waited) {
  if (!has_releases_.load(std::memory_order_relaxed) || InChild()) return;
  std::shared_ptr<Session> session;
  std::vector<object::LeaseId> ending;
  {
    base::MutexLock lock(mutex_);
    if (std::chrono::steady_clock::now() - oldest_release_ < waited) return;
    session = session_;
    ending = std::exchange(releases_, {});
    has_releases_.store(false, std::memory_order_relaxed);
  }
  if (session != nullptr && !ending.empty()) Release(*session, ending);
}

void Keeper::Regained(Lease& lease, const std::shared_ptr<Session>& session, object::LeaseId id) {
  {
    base::MutexLock lock(mutex_);
    // Another thread of the reader's may have it by now; where the session has ended, it has ended with it.
    if (lease.session == nullptr && session_ == session) {
      lease.session = session;
      lease.id = id;
      return;
    }
  }
  session->Release(id);
}

bool Keeper::IsHeld(const Lease& lease) {
  base::MutexLock lock(mutex_);
  return lease.session != nullptr;
}

// ---- segments

void Keeper::AddSegment(const Session& session, uint32_t id, std::shared_ptr<const Mapping> mapping) {
  base::MutexLock lock(mutex_);
  if (&session == session_.get() && mapping != nullptr) segments_.Add(id, std::move(mapping));
}

void Keeper::DropSegments(Session& session, std::span<const uint32_t> ids) {
  {
    base::MutexLock lock(mutex_);
    if (&session != session_.get()) return;
    segments_.Drop(ids);
  }
  TellUnmapped(session, ids);
}

void Keeper::SayUnmapped(Session& session, Unwanted unwanted) {
  unwanted.mappings.clear();
  if (!unwanted.segments.empty()) TellUnmapped(session, unwanted.segments);
}

void Keeper::TellUnmapped(Session& session, std::span<const uint32_t> ids) {
  constexpr size_t kPerRecord = 4096;
  base::MutexLock saying(saying_);
  uint64_t earlier = 0;
  {
    base::MutexLock lock(mutex_);
    earlier = EarlierBytes();
    if (&session == session_.get()) said_earlier_ = earlier;
  }
  do {
    const std::span<const uint32_t> some = ids.first(std::min(kPerRecord, ids.size()));
    ids = ids.subspan(some.size());
    base::ByteWriter out;
    PutUnmapped(out, {.earlier_bytes = earlier, .segments = {some.begin(), some.end()}});
    session.link.Tell(Op::kUnmapped, out.bytes());
  } while (!ids.empty());
}

uint64_t Keeper::EarlierBytes() {
  uint64_t bytes = 0;
  std::erase_if(earlier_, [&](const auto& mapping) {
    const auto held = mapping.lock();
    if (held != nullptr) bytes += held->size();
    return held == nullptr;
  });
  return bytes;
}

// ---- what the agent says of its own accord

void Keeper::AskedBack(const Session& session, std::vector<uint32_t> segments) {
  base::MutexLock lock(mutex_);
  if (&session != session_.get()) return;
  asked_back_.insert(asked_back_.end(), segments.begin(), segments.end());
  woken_ = true;
  wake_.NotifyOne();
}

void Keeper::Lapsed(const Session& session, const std::vector<object::LeaseId>& leases) {
  const std::unordered_set<object::LeaseId> ended(leases.begin(), leases.end());
  base::MutexLock lock(mutex_);
  if (ended.empty() || &session != session_.get()) return;
  for (Lease* lease : leases_) {
    if (lease->session.get() != &session || !ended.contains(lease->id)) continue;
    if (lease->kind == Lease::Kind::kCreate) {
      lease->lapsed.store(true, std::memory_order_relaxed);
    } else {
      lease->session = nullptr;  // the keeper has it too
      lapses_ = true;
    }
  }
  woken_ |= lapses_;
  wake_.NotifyOne();
}

}  // namespace larder::transport::uds
