#include "core/granted_peer.h"

#include <utility>

#include "core/grants.h"
#include "larder/base/status.h"

namespace larder::cache_agent {

using object::Done;
using object::SessionId;
using object::Verb;

absl::StatusOr<SessionId> GrantedPeer::OpenSession(const object::SessionOwner& owner, object::LapsedFn lapsed) {
  LARDER_ASSIGN_OR_RETURN(const SessionId session, inner().OpenSession(owner, std::move(lapsed)));
  if (owner.rights == object::Rights::All()) return session;
  // Before the session's id is known to anybody.
  base::MutexLock lock(mutex_);
  owners_[session.value] = owner;
  restricted_ = owners_.size();
  return session;
}

void GrantedPeer::CloseSession(SessionId session) {
  inner().CloseSession(session);
  if (restricted_ == 0) return;
  base::MutexLock lock(mutex_);
  owners_.erase(session.value);
  restricted_ = owners_.size();
}

absl::Status GrantedPeer::May(SessionId session, Verb verb) const {
  if (restricted_ == 0) return absl::OkStatus();
  base::MutexLock lock(mutex_);
  const auto owner = owners_.find(session.value);
  if (owner == owners_.end() || owner->second.rights.Has(verb)) return absl::OkStatus();
  return NoGrant(owner->second.account, VerbName(verb), owner->second.ns);
}

void GrantedPeer::Create(SessionId session, object::CreateRequest request, base::Deadline deadline,
                         Done<absl::StatusOr<object::CreateGrant>> done) {
  if (absl::Status may = May(session, Verb::kPut); !may.ok()) return done(std::move(may));
  inner().Create(session, std::move(request), deadline, std::move(done));
}

void GrantedPeer::Get(SessionId session, const std::string& key, base::Deadline deadline,
                      Done<absl::StatusOr<object::ReadGrant>> done) {
  if (absl::Status may = May(session, Verb::kGet); !may.ok()) return done(std::move(may));
  inner().Get(session, key, deadline, std::move(done));
}

void GrantedPeer::GetRange(SessionId session, const std::string& key, const object::ByteRange& range,
                           base::Deadline deadline, Done<absl::StatusOr<object::ReadGrant>> done) {
  if (absl::Status may = May(session, Verb::kGet); !may.ok()) return done(std::move(may));
  inner().GetRange(session, key, range, deadline, std::move(done));
}

void GrantedPeer::Stat(SessionId session, const std::string& key, Done<absl::StatusOr<object::ObjectStat>> done) {
  if (absl::Status may = May(session, Verb::kGet); !may.ok()) return done(std::move(may));
  inner().Stat(session, key, std::move(done));
}

void GrantedPeer::List(SessionId session, const object::ListRequest& request,
                       Done<absl::StatusOr<object::ListPage>> done) {
  if (absl::Status may = May(session, Verb::kList); !may.ok()) return done(std::move(may));
  inner().List(session, request, std::move(done));
}

void GrantedPeer::Delete(SessionId session, const std::string& key, Done<absl::Status> done) {
  if (absl::Status may = May(session, Verb::kDelete); !may.ok()) return done(std::move(may));
  inner().Delete(session, key, std::move(done));
}

void GrantedPeer::SetPinned(SessionId session, const std::string& key, bool pinned, Done<absl::Status> done) {
  if (absl::Status may = May(session, Verb::kPin); !may.ok()) return done(std::move(may));
  inner().SetPinned(session, key, pinned, std::move(done));
}

}  // namespace larder::cache_agent
