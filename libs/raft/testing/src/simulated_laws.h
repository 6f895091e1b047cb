#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "larder/raft/log_store.h"

namespace larder::raft {

// What must hold in every group at every moment, whatever happened (Ongaro, "Consensus: Bridging Theory and Practice",
// figure 3.2, and tracker rules 1, 3 and 5): told of everything, it keeps what was broken.
class SimulatedLaws {
 public:
  explicit SimulatedLaws(const std::string& configuration) { Configured(0, configuration); }
  // A member's log as it is on its disk now, after `write`.
  void Durable(MemberId member, const LogStore& log, const LogWrite& write);
  void Leads(MemberId member, uint64_t term);
  // The members after the entry at `index`.
  void Configured(uint64_t index, const std::string& configuration);
  // A member applies all up to `at`, which the disks of `holders` hold.
  void Commits(MemberId member, LogPosition at, const std::set<uint64_t>& holders);
  void Applies(MemberId member, const LogEntry& entry);
  // A member's state after the entry at `index`.
  void State(MemberId member, uint64_t index, uint64_t hash);
  void Acknowledged(const std::string& command, const std::string& reply);
  // The highest index that was acknowledged, or read: what begins now must see it.
  uint64_t seen() const { return seen_; }
  void Read(MemberId member, uint64_t floor, uint64_t applied);
  // After all: each acknowledged command is there once, and its reply was that of one after the other.
  void Finish();
  void Broken(std::string what);

  const std::vector<std::string>& violations() const { return violations_; }
  uint64_t elections() const { return leaders_.size(); }
  uint64_t acknowledgements() const { return replies_.size(); }

 private:
  struct Members {
    std::set<uint64_t> voters, outgoing;
    bool operator==(const Members&) const = default;
  };
  static Members Decode(const std::string& configuration);

  std::map<MemberId, HardState> hard_states_;
  std::map<uint64_t, Members> configurations_;                    // by the index they hold from
  std::map<LogPosition, std::pair<LogEntry, uint64_t>> entries_;  // with the term before
  std::map<uint64_t, MemberId> leaders_;
  std::map<uint64_t, LogEntry> committed_;
  std::map<std::string, uint64_t> commands_;  // -> their index
  std::map<uint64_t, uint64_t> states_;
  std::map<std::string, std::string> replies_;
  uint64_t seen_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace larder::raft
