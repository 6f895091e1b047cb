#include "src/session_table.h"

#include <algorithm>

namespace larder::peers {

using object::LeaseId;
using object::SessionId;

SessionId SessionTable::Open(std::string ns, object::LapsedFn lapsed, base::MonotonicTime now) {
  const SessionId id{next_session_++};
  use_[ns].sessions += 1;
  sessions_[id] = Session{.ns = std::move(ns), .lapsed_fn = std::move(lapsed), .renewed = now};
  return id;
}

void SessionTable::CountLeases(const std::string& ns, int64_t leases) {
  use_.at(ns).leases += static_cast<uint64_t>(leases);
}

SessionTable::Use SessionTable::UseOf(const std::string& ns) const {
  const auto it = use_.find(ns);
  return it == use_.end() ? Use() : it->second;
}

std::vector<LeaseId> SessionTable::Close(SessionId session) {
  std::vector<LeaseId> leases;
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return leases;
  for (const auto& [lease, granted] : it->second.leases) leases.push_back(lease);
  const auto use = use_.find(it->second.ns);
  use->second.leases -= leases.size();
  if (--use->second.sessions == 0) use_.erase(use);
  sessions_.erase(it);
  return leases;
}

const std::string* SessionTable::NamespaceOf(SessionId session) const {
  auto it = sessions_.find(session);
  return it == sessions_.end() ? nullptr : &it->second.ns;
}

LeaseId SessionTable::Grant(SessionId session, base::MonotonicTime now) {
  const LeaseId lease{next_lease_++};
  Session& holder = sessions_.at(session);
  holder.leases.emplace(lease, now);
  CountLeases(holder.ns, 1);
  return lease;
}

size_t SessionTable::LeasesOf(SessionId session) const {
  auto it = sessions_.find(session);
  return it == sessions_.end() ? 0 : it->second.leases.size();
}

bool SessionTable::Holds(SessionId session, LeaseId lease) const {
  auto it = sessions_.find(session);
  return it != sessions_.end() && it->second.leases.contains(lease);
}

void SessionTable::End(SessionId session, LeaseId lease) {
  const auto it = sessions_.find(session);
  if (it != sessions_.end() && it->second.leases.erase(lease) > 0) CountLeases(it->second.ns, -1);
}

void SessionTable::BeginWork(SessionId session) {
  if (auto it = sessions_.find(session); it != sessions_.end()) ++it->second.working;
}

void SessionTable::EndWork(SessionId session, base::MonotonicTime now) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  --it->second.working;
  it->second.renewed = now;
}

std::optional<std::vector<LeaseId>> SessionTable::Renew(SessionId session, base::MonotonicTime now) {
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return std::nullopt;
  it->second.renewed = now;
  std::deque<LeaseId>& lapsed = it->second.lapsed;
  const auto end = lapsed.begin() + static_cast<ptrdiff_t>(std::min(lapsed.size(), kLapsedAtOnce));
  std::vector<LeaseId> told(lapsed.begin(), end);
  lapsed.erase(lapsed.begin(), end);
  return told;
}

void SessionTable::RenewAll(base::MonotonicTime now) {
  for (auto& [id, session] : sessions_) session.renewed = now;
}

std::vector<SessionTable::Lapsed> SessionTable::Expire(base::MonotonicTime now) {
  std::vector<Lapsed> lapsed;
  for (auto& [id, session] : sessions_) {
    if (session.leases.empty() || session.working > 0 || now - session.renewed <= lease_ttl_) continue;
    std::vector<LeaseId> over;
    std::erase_if(session.leases, [&](const auto& entry) {
      if (now - entry.second <= lease_ttl_) return false;
      over.push_back(entry.first);
      return true;
    });
    if (over.empty()) continue;
    CountLeases(session.ns, -static_cast<int64_t>(over.size()));
    session.lapsed.insert(session.lapsed.end(), over.begin(), over.end());
    if (session.lapsed.size() > kLapsedKept) {
      session.lapsed.erase(session.lapsed.begin(), session.lapsed.end() - static_cast<ptrdiff_t>(kLapsedKept));
    }
    lapsed.push_back({id, std::move(over), session.lapsed_fn});
  }
  return lapsed;
}

void SessionTable::KeepSubject(SessionId session, LeaseId lease, Subject subject) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  it->second.subjects.emplace_back(lease, std::move(subject));
  if (it->second.subjects.size() > kSubjectsKept) it->second.subjects.pop_front();
}

const SessionTable::Subject* SessionTable::SubjectOf(SessionId session, LeaseId lease) const {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return nullptr;
  for (const auto& [lapsed, subject] : it->second.subjects) {
    if (lapsed == lease) return &subject;
  }
  return nullptr;
}

void SessionTable::KeepAnswer(SessionId session, LeaseId lease, Answer answer) {
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  Session& kept = it->second;
  std::erase(kept.lapsed, lease);
  kept.answers.emplace(lease, std::move(answer));
  kept.answered.push_back(lease);
  if (kept.answered.size() <= kAnswersKept) return;
  kept.answers.erase(kept.answered.front());
  kept.answered.pop_front();
}

const SessionTable::Answer* SessionTable::AnswerOf(SessionId session, LeaseId lease) const {
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return nullptr;
  auto answer = it->second.answers.find(lease);
  return answer == it->second.answers.end() ? nullptr : &answer->second;
}

}  // namespace larder::peers
