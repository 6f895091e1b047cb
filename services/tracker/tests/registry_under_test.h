#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/memory_table.h"
#include "core/queries.h"
#include "core/registry.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::tracker {

using std::chrono::hours;
using std::chrono::seconds;

// A registry in memory, with commands that must succeed as calls.
class RegistryTest : public testing::Test {
 protected:
  RegistryTest();

  // One entry of one command, at the log time now.
  Reply Run(Command command);
  std::vector<Reply> RunEntry(Entry entry);
  // The reply must be an R.
  template <typename R>
  R Get(Command command) {
    const Reply reply = Run(std::move(command));
    if (const auto* refusal = std::get_if<Refusal>(&reply)) {
      ADD_FAILURE() << refusal->reason << ": " << refusal->message;
    }
    const R* held = std::get_if<R>(&reply);
    EXPECT_NE(held, nullptr) << "kind " << reply.index();
    return held == nullptr ? R{} : *held;
  }
  void Ok(Command command) { Get<Done>(std::move(command)); }
  // The next entries are stamped so much later.
  void Pass(base::Duration time) { now_ = After(now_, time); }

  NodeRef Register(const std::string& node, uint64_t incarnation = 1);
  CreateGranted Create(const NodeRef& node, const ObjectId& id, bool overwrite = false);
  // Created and sealed there.
  Sealed Put(const NodeRef& node, const ObjectId& id, ObjectMeta meta = {}, CopyKind kind = CopyKind::kReplica);
  ObjectStat StatOf(const ObjectId& id);
  // The nodes of all copies, and of those that are live.
  std::vector<std::string> Holders(const ObjectId& id);
  std::vector<std::string> LiveHolders(const ObjectId& id);
  std::unique_ptr<Reader> Snapshot() { return table_.NewSnapshot(); }

  const ObjectId id_{"team", "a/b"};
  MemoryTable table_;
  std::unique_ptr<TrackerState> state_;
  LogTime now_{1};
};

MATCHER_P(Refused, reason, "") {
  const auto* refusal = std::get_if<Refusal>(&arg);
  *result_listener << "which is " << (refusal ? refusal->reason + ": " + refusal->message : "no refusal");
  return refusal != nullptr && refusal->reason == reason;
}

inline ObjectMeta Content(std::string_view bytes) {
  return {.size = bytes.size(), .digest = base::Crc32cDigest(base::Crc32c(base::AsBytes(bytes)))};
}

}  // namespace larder::tracker
