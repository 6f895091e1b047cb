#pragma once
#include <map>
#include <string>

#include "larder/raft/state_machine.h"

namespace larder::raft {

// FNV-1a, going on from `hash`.
uint64_t Fnv(uint64_t hash, std::string_view bytes);
uint64_t Fnv(uint64_t hash, uint64_t number);

// Registers: a command is "key=value", its reply the value before. What was not flushed is lost in a crash.
class SimulatedMachine final : public StateMachine {
 public:
  SimulatedMachine(AppliedState first) : now_{.applied = std::move(first)}, durable_(now_) {}
  const AppliedState& applied() const override { return now_.applied; }
  absl::Status Apply(std::span<const Command> commands, const AppliedState& after,
                     std::vector<std::string>& replies) override;
  absl::Status Flush() override {
    durable_ = now_;
    return absl::OkStatus();
  }
  void Crash() { now_ = durable_; }
  // The value under `key`, and the index of the command that set it (0: none did).
  std::pair<std::string, uint64_t> Get(const std::string& key) const;
  // Equal where the state is equal, and the way to it.
  uint64_t hash() const { return Fnv(now_.hash, now_.applied.configuration); }

 private:
  struct State {
    AppliedState applied;
    std::map<std::string, std::pair<std::string, uint64_t>> values;
    uint64_t hash = 0;
  };
  State now_;
  State durable_;
};

}  // namespace larder::raft
