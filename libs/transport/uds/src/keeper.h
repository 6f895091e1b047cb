#pragma once
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/object/transport.h"
#include "src/segments.h"
#include "src/session.h"

namespace larder::transport::uds {

// Readers whose leases are given back together: what one GetMany opened.
struct ReleaseGroup {
  size_t open = 0;  // guarded by the keeper's lock, as all of a Lease but `lapsed`
};

// A lease of this client's; part of the reader or writer that it belongs to, which outlives its being held.
struct Lease {
  enum class Kind {
    kRead,
    kRange,  // a read lease that its reader, and not the keeper, asks for again: it may take as long as a fetch
    kCreate,
  };
  Kind kind = Kind::kRead;
  std::string_view key;  // the owner's
  object::Epoch epoch;
  object::LeaseId id;                // 0: nothing is held
  std::shared_ptr<Session> session;  // where it is held; null once it is lost
  absl::Status verdict;              // why a lost one of a reader cannot be had again
  std::shared_ptr<ReleaseGroup> group;
  std::atomic<bool> lapsed{false};  // a creation's: the agent has ended it

  uint64_t number = 0;  // of this client's leases; 0: not held
  size_t place = 0;     // among the keeper's
};

// What a client has of the agents that serve one directory, one after the other: the session, the leases of open
// readers and writers, what is mapped. A thread of its own, from the first lease on, renews them, answers what the
// agent asks unasked, and, while readers are open, looks for the next agent. Thread-safe.
//
// Locks, in this order: saying_, a session's own, mutex_. None is held while the agent is asked, but for the ring's. In
// a forked child nothing here is used: only directory, options and InChild().
class Keeper {
 public:
  static std::shared_ptr<Keeper> Make(std::string directory, object::DialOptions options);
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  const std::string& directory() const { return directory_; }
  const object::DialOptions& options() const { return options_; }
  bool InChild() const { return fork_.InChild(); }

  // By when a call of a reader or writer that begins now must end.
  base::Deadline CallDeadline() const;

  // The session; tried for once, if there is none or it has ended, after whoever else tries. What open readers had is
  // asked for anew on it before anybody else asks anything. UNAVAILABLE (NO_AGENT, also at `deadline`),
  // PERMISSION_DENIED…
  absl::StatusOr<std::shared_ptr<Session>> Connect(base::Deadline deadline) LARDER_EXCLUDES(mutex_);

  // ---- for readers and writers
  // A lease of `lease.session` is held from now on, until End. CONNECTION_LOST if that session is over.
  absl::Status Hold(Lease& lease) LARDER_EXCLUDES(mutex_);
  // The same of a reader whose object lies in `extents`. NOT_FOUND (NO_SEGMENT) and it is not held.
  absl::StatusOr<Mapped> HoldMapped(Lease& lease, const std::vector<WireExtent>& extents) LARDER_EXCLUDES(mutex_);
  // Ends a reader's lease, also one that was not held yet, or stops looking after a creation's, whose end its owner
  // says. What it had mapped is unmapped by then.
  void End(Lease& lease) LARDER_EXCLUDES(mutex_);
  struct Grip {
    std::shared_ptr<Session> session;
    object::LeaseId lease;  // of kRange: none if it was lost
  };
  // Where a reader's bytes are to be asked for now. Waits for the next agent, at most for the reconnect window and
  // until `deadline`; UNAVAILABLE or DEADLINE_EXCEEDED then, or why the object cannot be had again: ABORTED
  // (EPOCH_STALE), NOT_FOUND (NO_OBJECT).
  absl::StatusOr<Grip> GripOf(Lease& lease, base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  // A lost lease of a reader's is had again; if it is not wanted (any more), it is released.
  void Regained(Lease& lease, const std::shared_ptr<Session>& session, object::LeaseId id) LARDER_EXCLUDES(mutex_);
  bool IsHeld(const Lease& lease) LARDER_EXCLUDES(mutex_);
  // Releases that have waited for others of their group for so long go out now: before what may need their memory, all.
  void SendReleases(base::Duration waited = {}) LARDER_EXCLUDES(mutex_);
  // Forgets segments that were named and are not here, and says so.
  void DropSegments(Session& session, std::span<const uint32_t> ids) LARDER_EXCLUDES(mutex_);

  // ---- for the session; quick, and without asking anything
  void AddSegment(const Session& session, uint32_t id, std::shared_ptr<const Mapping> mapping) LARDER_EXCLUDES(mutex_);
  void AskedBack(const Session& session, std::vector<uint32_t> segments) LARDER_EXCLUDES(mutex_);
  void Lapsed(const Session& session, const std::vector<object::LeaseId>& leases) LARDER_EXCLUDES(mutex_);

 private:
  // A reader's object that must be asked for again, and what came of it.
  struct Orphan {
    uint64_t number = 0;  // its lease's
    std::string key;
    object::Epoch epoch;
    object::LeaseId lease;
    absl::Status verdict;
  };
  Keeper(std::string directory, object::DialOptions options);

  // ---- keeper.cpp: leases and mappings
  void Add(Lease& lease) LARDER_REQUIRES(mutex_);
  void Remove(Lease& lease) LARDER_REQUIRES(mutex_);
  // What is released now: nothing while others of its group are open.
  std::vector<object::LeaseId> Ending(const Lease& lease) LARDER_REQUIRES(mutex_);
  static void Release(Session& session, std::span<const object::LeaseId> leases);
  void SayUnmapped(Session& session, Unwanted unwanted) LARDER_EXCLUDES(saying_, mutex_);
  void TellUnmapped(Session& session, std::span<const uint32_t> ids) LARDER_EXCLUDES(saying_, mutex_);
  uint64_t EarlierBytes() LARDER_REQUIRES(mutex_);

  // ---- keeper_thread.cpp: the thread, and one agent after the other
  void Run() LARDER_EXCLUDES(mutex_);
  base::MonotonicTime NextLook() const LARDER_REQUIRES(mutex_);
  void Look() LARDER_EXCLUDES(mutex_);
  void Renew(Session& session) LARDER_EXCLUDES(mutex_);
  void AnswerNotices(const std::shared_ptr<Session>& session) LARDER_EXCLUDES(mutex_);
  // `session` has ended: what nobody reads is unmapped, its readers' leases are lost.
  void Leave(const std::shared_ptr<Session>& session) LARDER_EXCLUDES(mutex_);
  absl::StatusOr<std::shared_ptr<Session>> ConnectInTurn(base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  absl::StatusOr<std::shared_ptr<Session>> Dial(base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  absl::Status DoesNotAnswer() const;
  void TryAgain() LARDER_EXCLUDES(mutex_);
  // From one try to connect to the next.
  base::Duration Pause(int failures, base::Duration first) const;
  bool HasOrphans() const LARDER_REQUIRES(mutex_);
  void Regain(const std::shared_ptr<Session>& session, base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  void Adopt(const std::shared_ptr<Session>& session, std::vector<Orphan> found) LARDER_EXCLUDES(mutex_);
  // The error of who has waited for a lease to be had again: until its deadline, or for the whole window.
  absl::Status GaveUp(bool due) const LARDER_REQUIRES(mutex_);

  const std::string directory_;
  const std::string socket_;  // in it
  const object::DialOptions options_;
  const ForkMark fork_;

  base::Mutex saying_;  // held while UNMAPPED is said, so that the last one tells the latest

  base::Mutex mutex_;
  base::CondVar wake_;                                          // the thread
  base::CondVar changed_;                                       // who waits for the next agent, or to look for it
  bool connecting_ LARDER_GUARDED_BY(mutex_) = false;           // somebody does
  std::shared_ptr<Session> session_ LARDER_GUARDED_BY(mutex_);  // null: there is none, or it was left
  std::shared_ptr<Session> greeting_ LARDER_GUARDED_BY(mutex_);
  Segments segments_ LARDER_GUARDED_BY(mutex_);  // of session_
  std::vector<Lease*> leases_ LARDER_GUARDED_BY(mutex_);
  uint64_t last_number_ LARDER_GUARDED_BY(mutex_) = 0;
  std::vector<object::LeaseId> releases_ LARDER_GUARDED_BY(mutex_);  // that wait for others of their group
  std::atomic<bool> has_releases_{false};
  base::MonotonicTime oldest_release_ LARDER_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<const Mapping>> earlier_ LARDER_GUARDED_BY(mutex_);  // still mapped of earlier sessions
  uint64_t said_earlier_ LARDER_GUARDED_BY(mutex_) = 0;                          // to this agent

  // The thread's work.
  std::vector<uint32_t> asked_back_ LARDER_GUARDED_BY(mutex_);
  bool lapses_ LARDER_GUARDED_BY(mutex_) = false;  // there are readers whose leases have lapsed
  base::MonotonicTime connected_ LARDER_GUARDED_BY(mutex_);
  base::MonotonicTime next_renewal_ LARDER_GUARDED_BY(mutex_);
  base::MonotonicTime next_try_ LARDER_GUARDED_BY(mutex_);   // of connecting
  base::MonotonicTime try_until_ LARDER_GUARDED_BY(mutex_);  // readers' sake
  int failures_ LARDER_GUARDED_BY(mutex_) = 0;
  absl::Status last_failure_ LARDER_GUARDED_BY(mutex_);
  bool woken_ LARDER_GUARDED_BY(mutex_) = false;
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
  std::thread thread_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::transport::uds
