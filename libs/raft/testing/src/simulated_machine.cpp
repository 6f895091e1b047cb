#include "testing/src/simulated_machine.h"

namespace larder::raft {

uint64_t Fnv(uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

uint64_t Fnv(uint64_t hash, uint64_t number) {
  return Fnv(hash, {reinterpret_cast<const char*>(&number), sizeof number});
}

absl::Status SimulatedMachine::Apply(std::span<const Command> commands, const AppliedState& after,
                                     std::vector<std::string>& replies) {
  for (const Command& command : commands) {
    const std::string text(base::AsText(command.payload));
    const size_t equals = text.find('=');
    auto& [value, index] = now_.values[text.substr(0, equals)];
    replies.push_back(value);
    value = text.substr(equals + 1);
    index = command.at.index;
    now_.hash = Fnv(Fnv(now_.hash, command.at.index), text);
  }
  now_.applied = after;
  return absl::OkStatus();
}

std::pair<std::string, uint64_t> SimulatedMachine::Get(const std::string& key) const {
  const auto it = now_.values.find(key);
  return it == now_.values.end() ? std::pair<std::string, uint64_t>() : it->second;
}

}  // namespace larder::raft
