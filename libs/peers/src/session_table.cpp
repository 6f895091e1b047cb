#include "src/session_table.h"

#include <algorithm>

namespace larder::peers {

using object::LeaseId;
using object::SessionId;

SessionId SessionTable::Open(std::string ns, base::MonotonicTime now) {
  const SessionId id{next_session_++};
  sessions_[id] = Session{.ns = std::move(ns), .renewed = now};
  return id;
}

std::vector<LeaseId> SessionTable::Close(SessionId session) {
  std::vector<LeaseId> leases;
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return leases;
  for (const auto& [lease, granted] : it->second.leases) leases.push_back(lease);
  sessions_.erase(it);
  return leases;
}

const std::string* SessionTable::NamespaceOf(SessionId session) const {
  auto it = sessions_.find(session);
  return it == sessions_.end() ? nullptr : &it->second.ns;
}

LeaseId SessionTable::Grant(SessionId session, base::MonotonicTime now) {
  const LeaseId lease{next_lease_++};
  sessions_.at(session).leases.emplace(lease, now);
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
  if (auto it = sessions_.find(session); it != sessions_.end()) it->second.leases.erase(lease);
}

std::optional<std::vector<LeaseId>> SessionTable::Renew(SessionId session, base::MonotonicTime now) {
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return std::nullopt;
  it->second.renewed = now;
  return std::exchange(it->second.lapsed, {});
}

std::vector<SessionTable::Lapsed> SessionTable::Expire(base::MonotonicTime now) {
  std::vector<Lapsed> lapsed;
  for (auto& [id, session] : sessions_) {
    if (session.leases.empty() || now - session.renewed <= lease_ttl_) continue;
    std::erase_if(session.leases, [&, session_id = id](const auto& entry) {
      if (now - entry.second <= lease_ttl_) return false;
      lapsed.push_back({session_id, entry.first});
      return true;
    });
    for (const Lapsed& one : lapsed) {
      if (one.session == id) session.lapsed.push_back(one.lease);
    }
  }
  return lapsed;
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
