#include "testing/src/simulated_laws.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace larder::raft {

void SimulatedLaws::Broken(std::string what) { violations_.push_back(std::move(what)); }

// A ConfState of protobuf: repeated numbers, voters are field 1, outgoing ones field 3.
SimulatedLaws::Members SimulatedLaws::Decode(const std::string& configuration) {
  Members members;
  size_t at = 0;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0; at < configuration.size(); shift += 7) {
      const auto byte = static_cast<uint8_t>(configuration[at++]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < configuration.size()) {
    const uint64_t field = varint() >> 3;
    const uint64_t value = varint();
    if (field == 1) members.voters.insert(value);
    if (field == 3) members.outgoing.insert(value);
  }
  return members;
}

void SimulatedLaws::Configured(uint64_t index, const std::string& configuration) {
  const Members members = Decode(configuration);
  const auto after = configurations_.upper_bound(index);
  if (after == configurations_.begin() || std::prev(after)->second != members) configurations_[index] = members;
}

void SimulatedLaws::Commits(MemberId member, LogPosition at, const std::set<uint64_t>& holders) {
  const auto majority = [&](const std::set<uint64_t>& voters) {
    const auto held = std::ranges::count_if(voters, [&](uint64_t voter) { return holders.contains(voter); });
    return voters.empty() || 2 * static_cast<size_t>(held) > voters.size();
  };
  // The leader that committed it had applied the last change before it, or only the one before that.
  auto it = configurations_.lower_bound(at.index);
  for (int back = 0; back < 2 && it != configurations_.begin(); ++back) {
    --it;
    if (majority(it->second.voters) && majority(it->second.outgoing)) return;
  }
  Broken(fmt::format("member {} applies ({}, {}), which no quorum has on its disks, but {} members", member.value,
                     at.index, at.term, holders.size()));
}

void SimulatedLaws::Durable(MemberId member, const LogStore& log, const LogWrite& write) {
  HardState& before = hard_states_[member];
  const HardState now = log.extent().hard_state;
  if (now.term < before.term || (now.term == before.term && before.vote != 0 && now.vote != before.vote)) {
    Broken(fmt::format("member {} voted for {} in term {}, then for {} in {}", member.value, before.vote, before.term,
                       now.vote, now.term));
  }
  before = now;
  if (write.entries.empty()) return;
  uint64_t term_before = log.TermAt(write.entries.front().at.index - 1).value_or(0);
  for (const LogEntry& entry : write.entries) {
    const auto [it, fresh] = entries_.try_emplace(entry.at, entry, term_before);
    if (!fresh && it->second != std::pair(entry, term_before)) {
      Broken(fmt::format("member {} has another entry at ({}, {}), or before it", member.value, entry.at.index,
                         entry.at.term));
    }
    term_before = entry.at.term;
  }
}

void SimulatedLaws::Leads(MemberId member, uint64_t term) {
  const auto [it, fresh] = leaders_.try_emplace(term, member);
  if (it->second != member) {
    Broken(fmt::format("members {} and {} both lead in term {}", it->second.value, member.value, term));
  }
}

void SimulatedLaws::Applies(MemberId member, const LogEntry& entry) {
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
  seen_ = std::max(seen_, it->second);
  replies_[command] = reply;
}

void SimulatedLaws::Read(MemberId member, uint64_t floor, uint64_t applied) {
  if (applied < floor) {
    Broken(fmt::format("member {} reads at {} what was acknowledged or read up to {} before", member.value, applied,
                       floor));
  }
  seen_ = std::max(seen_, applied);
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
