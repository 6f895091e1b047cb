#include "tests/registry_under_test.h"

namespace larder::tracker {

RegistryTest::RegistryTest() {
  auto state = TrackerState::Open(table_);
  EXPECT_THAT(state, base::IsOk());
  state_ = *std::move(state);
}

std::vector<Reply> RegistryTest::RunEntry(Entry entry) {
  if (entry.stamp == LogTime{}) entry.stamp = now_;
  const std::string bytes = EncodeEntry(entry);
  const raft::LogPosition at{.index = state_->applied().at.index + 1, .term = 1};
  const raft::Command command{.at = at, .payload = base::AsBytes(bytes)};
  std::vector<std::string> answers;
  EXPECT_THAT(state_->Apply(std::span(&command, 1), {.at = at, .configuration = "c"}, answers), base::IsOk());
  EXPECT_EQ(answers.size(), 1u);
  auto replies = DecodeReplies(base::AsBytes(answers.at(0)));
  EXPECT_THAT(replies, base::IsOk());
  EXPECT_EQ(replies->size(), entry.commands.size());
  return *std::move(replies);
}

Reply RegistryTest::Run(Command command) { return RunEntry({.commands = {std::move(command)}}).at(0); }

NodeRef RegistryTest::Register(const std::string& node, uint64_t incarnation) {
  return {node, Get<NodeRegistered>(RegisterNode{node, incarnation, node + ":7461", "zone", "rack"}).epoch};
}

CreateGranted RegistryTest::Create(const NodeRef& node, const ObjectId& id, bool overwrite) {
  return Get<CreateGranted>(AcquireCreate{id, node, overwrite, seconds(30)});
}

Sealed RegistryTest::Put(const NodeRef& node, const ObjectId& id, ObjectMeta meta, CopyKind kind) {
  const CreateGranted create = Create(node, id, true);
  return Get<Sealed>(Seal{id, create.epoch, node, kind, std::move(meta)});
}

ObjectStat RegistryTest::StatOf(const ObjectId& id) {
  auto stat = Stat(*Snapshot(), id);
  EXPECT_THAT(stat, base::IsOk());
  return *std::move(stat);
}

std::vector<std::string> RegistryTest::Holders(const ObjectId& id) {
  std::vector<std::string> nodes;
  for (const Copy& copy : StatOf(id).copies) nodes.push_back(copy.node);
  return nodes;
}

std::vector<std::string> RegistryTest::LiveHolders(const ObjectId& id) {
  std::vector<std::string> nodes;
  for (const Copy& copy : StatOf(id).copies) {
    if (copy.live) nodes.push_back(copy.node);
  }
  return nodes;
}

}  // namespace larder::tracker
