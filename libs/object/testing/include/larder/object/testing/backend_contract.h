#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "larder/object/registries.h"
#include "larder/object/testing/test_node.h"

namespace larder::object {

// What every backend keeps (libs/object/include/larder/object/backend.h, blob.h). To run it over a registry:
//   INSTANTIATE_TEST_SUITE_P(Registry, BackendContract, testing::ValuesIn(EntriesOf(registry)), NameOfEntry);
class BackendContract : public testing::TestWithParam<BackendEntry> {
 protected:
  void SetUp() override { Begin({}); }
  // A node with other limits; everything of the one before must be gone.
  void Begin(const TestNode::Options& options);
  Backend& backend() { return node_->backend(); }
  bool durable() { return backend().durability() != Durability::kMemory; }

  static ObjectInfo InfoOf(const Blob& blob, const ObjectId& id, uint64_t epoch);
  // Creates, appends in one piece, seals; null, and a failure of the test, if one of them fails.
  std::shared_ptr<const BlobView> Store(const ObjectId& id, uint64_t epoch, base::ByteSpan bytes);
  std::shared_ptr<const BlobView> Store(ObjectInfo info, base::ByteSpan bytes);
  // Stores `size` bytes, in random pieces if `pieces`, under that hint, and looks at them from all sides.
  void RoundTrip(uint64_t size, uint64_t hint, bool pieces);
  // Ends the backend, makes it anew and returns what it found, by key.
  std::map<std::string, Backend::Recovered> RestartAndRecover();

  std::unique_ptr<TestNode> node_;
};

std::vector<BackendEntry> EntriesOf(const BackendRegistry& registry);
std::string NameOfEntry(const testing::TestParamInfo<BackendEntry>& info);
// For readable test names; found by argument-dependent lookup.
void PrintTo(const BackendEntry& entry, std::ostream* out);

}  // namespace larder::object
