#include "tests/faults/hostile_test.h"

#include <algorithm>

#include "larder/base/units.h"

namespace larder::cache_agent {

using base::IsOk;
using base::kMiB;

ChildProcess HostileTest::Hostile(const std::string& cgroup) const {
  std::vector<std::string> argv = {LARDER_HOSTILE_CLIENT, agent_->socket_dir()};
  if (!cgroup.empty()) argv.push_back(cgroup);
  ChildProcess hostile(argv, ChildProcess::Output::kStdout);
  const std::string where = hostile.ReadLine();
  EXPECT_THAT(where, testing::StartsWith("in "));
  // Without the right to make one it is as hostile as it can be.
  if (where != "in a pod") testing::Test::RecordProperty("hostile", where);
  return hostile;
}

ChildProcess HostileTest::HostileIn(const std::string& ns) const {
  ChildProcess hostile = Hostile();
  EXPECT_EQ(hostile.Ask("open " + ns), "OK");
  return hostile;
}

void HostileTest::FillWithMarker(client::Client& client) const {
  constexpr uint64_t kObject = 8 * kMiB;
  constexpr int kObjects = 10;
  std::string bytes;
  while (bytes.size() < kObject) bytes += kMarker;
  for (int i = 0; i < kObjects; ++i) {
    LARDER_ASSERT_OK_AND_ASSIGN(auto writer, client.Create({.key = "marked", .size_hint = kObject, .overwrite = true}));
    LARDER_ASSERT_OK_AND_ASSIGN(const base::MutableByteSpan buffer, writer->Buffer(kObject));
    std::ranges::copy(base::AsBytes(bytes), buffer.begin());
    ASSERT_THAT(writer->Seal(base::Digest()), IsOk());
  }
}

}  // namespace larder::cache_agent
