#include "testing/src/simulated_laws.h"

#include <fmt/format.h>

namespace larder::raft {

void SimulatedLaws::Broken(std::string what) { violations_.push_back(std::move(what)); }

void SimulatedLaws::Durable(MemberId member, const LogExtent& extent, const std::vector<LogEntry>& written) {
  HardState& before = hard_states_[member];
  const HardState& now = extent.hard_state;
  if (now.term < before.term || (now.term == before.term && before.vote != 0 && now.vote != before.vote)) {
    Broken(fmt::format("member {} voted for {} in term {}, then for {} in {}", member.value, before.vote, before.term,
                       now.vote, now.term));
  }
  before = now;
  for (const LogEntry& entry : written) {
    const auto [it, fresh] = entries_.try_emplace(entry.at, entry.payload);
    if (!fresh && it->second != entry.payload) {
      Broken(fmt::format("member {} has another entry at ({}, {})", member.value, entry.at.index, entry.at.term));
    }
  }
}

void SimulatedLaws::Leads(MemberId member, uint64_t term) {
  const auto [it, fresh] = leaders_.try_emplace(term, member);
  if (it->second != member) {
    Broken(fmt::format("members {} and {} both lead in term {}", it->second.value, member.value, term));
  }
}

void SimulatedLaws::Applies(MemberId member, const LogEntry& entry, int holders, int quorum) {
  if (quorum > 0 && holders < quorum) {
    Broken(fmt::format("member {} applies {}, which {} disks hold, of {} needed", member.value, entry.at.index, holders,
                       quorum));
  }
  const auto [it, fresh] = committed_.try_emplace(entry.at.index, entry);
  if (it->second != entry) {
    Broken(fmt::format("member {} applies ({}, {}), where ({}, {}) was applied", member.value, entry.at.index,
                       entry.at.term, it->second.at.index, it->second.at.term));
  }
  if (!fresh || entry.payload.empty() || entry.kind != EntryKind::kCommand) return;
  if (!commands_.try_emplace(entry.payload, entry.at.index).second) {
    Broken(fmt::format("'{}' is applied twice", entry.payload));
  }
}

void SimulatedLaws::State(MemberId member, uint64_t index, uint64_t hash) {
  const auto [it, fresh] = states_.try_emplace(index, hash);
  if (it->second != hash) Broken(fmt::format("member {} has another state at {}", member.value, index));
}

void SimulatedLaws::Acknowledged(const std::string& command, const std::string& reply) {
  const auto it = commands_.find(command);
  if (it == commands_.end()) return Broken(fmt::format("'{}' is acknowledged and not applied", command));
  acknowledged_ = std::max(acknowledged_, it->second);
  replies_[command] = reply;
}

void SimulatedLaws::Read(MemberId member, uint64_t floor, uint64_t applied) {
  if (applied < floor) {
    Broken(fmt::format("member {} reads at {} what was acknowledged up to {} before", member.value, applied, floor));
  }
}

void SimulatedLaws::Finish() {
  std::map<std::string, std::string> values;
  for (const auto& [index, entry] : committed_) {
    if (entry.kind != EntryKind::kCommand || entry.payload.empty()) continue;
    const size_t equals = entry.payload.find('=');
    std::string& value = values[entry.payload.substr(0, equals)];
    const auto reply = replies_.find(entry.payload);
    if (reply != replies_.end() && reply->second != value) {
      Broken(fmt::format("'{}' was answered '{}', not '{}'", entry.payload, reply->second, value));
    }
    value = entry.payload.substr(equals + 1);
  }
}

}  // namespace larder::raft
