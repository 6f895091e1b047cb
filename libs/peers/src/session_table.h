#pragma once
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "larder/base/clock.h"
#include "larder/object/peer.h"

namespace larder::peers {

// Sessions and which leases they hold. Not thread-safe: the peer's lock guards it. A lease lives while its session was
// renewed, or itself granted, within the last lease TTL, and while the agent works for it.
class SessionTable {
 public:
  explicit SessionTable(base::Duration lease_ttl) : lease_ttl_(lease_ttl) {}

  // Leases of one session that lapsed, and who is to be told.
  struct Lapsed {
    object::SessionId session;
    std::vector<object::LeaseId> leases;
    object::LapsedFn tell;
  };
  // What a lease was of.
  struct Subject {
    std::string key;  // empty: not named yet
    object::Epoch epoch;
  };
  // What one namespace's sessions hold.
  struct Use {
    uint64_t sessions = 0;
    uint64_t leases = 0;
  };
  // What a seal answered, kept for its repeat.
  struct Answer {
    object::Epoch epoch;
    absl::StatusOr<object::SealResult> result;
  };
  static constexpr size_t kAnswersKept = 64;    // the latest, per session
  static constexpr size_t kSubjectsKept = 64;   // of leases that lapsed, the latest, per session
  static constexpr size_t kLapsedKept = 65536;  // for Renew, the latest, per session
  static constexpr size_t kLapsedAtOnce = 8192;

  object::SessionId Open(std::string ns, object::LapsedFn lapsed, base::MonotonicTime now);
  // The leases it held; empty for an unknown session.
  std::vector<object::LeaseId> Close(object::SessionId session);
  // Null for an unknown session.
  const std::string* NamespaceOf(object::SessionId session) const;
  object::LeaseId Grant(object::SessionId session, base::MonotonicTime now);
  size_t LeasesOf(object::SessionId session) const;
  Use UseOf(const std::string& ns) const;
  // False if the session does not hold it (any more).
  bool Holds(object::SessionId session, object::LeaseId lease) const;
  void End(object::SessionId session, object::LeaseId lease);
  // From Begin to its End none of the session's leases lapses.
  void BeginWork(object::SessionId session);
  void EndWork(object::SessionId session, base::MonotonicTime now);
  // Those that lapsed and that it has not told of yet, kLapsedAtOnce of them at most.
  std::optional<std::vector<object::LeaseId>> Renew(object::SessionId session, base::MonotonicTime now);
  // As if all had been renewed.
  void RenewAll(base::MonotonicTime now);
  // Ends the leases whose time is over and remembers them for Renew.
  std::vector<Lapsed> Expire(base::MonotonicTime now);
  // What a lease that lapsed was of, for the one who still believes in it; null if that is not known any more.
  void KeepSubject(object::SessionId session, object::LeaseId lease, Subject subject);
  const Subject* SubjectOf(object::SessionId session, object::LeaseId lease) const;

  // Also a lease that lapsed meanwhile has not been lost.
  void KeepAnswer(object::SessionId session, object::LeaseId lease, Answer answer);
  // Null if there is none.
  const Answer* AnswerOf(object::SessionId session, object::LeaseId lease) const;

  size_t size() const { return sessions_.size(); }

 private:
  struct Session {
    std::string ns;
    object::LapsedFn lapsed_fn;
    base::MonotonicTime renewed;
    uint64_t working = 0;
    std::unordered_map<object::LeaseId, base::MonotonicTime> leases;  // when granted
    std::deque<object::LeaseId> lapsed;
    std::unordered_map<object::LeaseId, Answer> answers;
    std::deque<object::LeaseId> answered;                      // in the order of their seals
    std::deque<std::pair<object::LeaseId, Subject>> subjects;  // of leases that lapsed, oldest first
  };
  void CountLeases(const std::string& ns, int64_t leases);
  base::Duration lease_ttl_;
  uint64_t next_session_ = 1;
  uint64_t next_lease_ = 1;
  std::unordered_map<object::SessionId, Session> sessions_;
  std::map<std::string, Use> use_;  // of namespaces that have sessions
};

}  // namespace larder::peers
