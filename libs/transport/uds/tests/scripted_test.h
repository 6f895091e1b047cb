#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "larder/arena/arena.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/transport/uds/uds.h"
#include "tests/scripted_agent.h"

namespace larder::transport::uds {

// Leases of which clients renew every 20 ms.
inline constexpr base::Duration kShortTtl = std::chrono::milliseconds(60);

// A client on one side, a scripted agent on the other.
class ScriptedTest : public testing::Test {
 protected:
  // A sealed slab of 1 MiB, full of `fill`, that GETs can show.
  struct Slab {
    arena::Range range;
    base::UniqueFd fd;
    uint32_t id = 0;
    WireExtent Extent(bool has_descriptor, uint64_t offset = 0, uint64_t length = base::kMiB) const {
      return {.segment = id,
              .has_descriptor = has_descriptor,
              .segment_size = range.memory()->size(),
              .offset = offset,
              .length = length};
    }
  };
  Slab MakeSlab(char fill) {
    Slab slab{.range = *arena_->AllocateSealed("default", base::kMiB, base::kMiB)};
    std::memset(slab.range.data(), fill, base::kMiB);
    slab.fd = *slab.range.memory()->OpenReadOnly();
    slab.id = static_cast<uint32_t>(slab.range.memory()->id());
    return slab;
  }

  // Runs `ask` beside the script.
  template <typename F>
  static auto Beside(F ask) {
    return std::async(std::launch::async, std::move(ask));
  }
  // Dials; `agent` is the other end.
  std::unique_ptr<object::Channel> Dial(std::optional<AgentEnd>& agent, const object::DialOptions& options = {},
                                        base::Duration lease_ttl = std::chrono::seconds(30)) {
    auto dialled = Beside([&] { return uds::Dial(directory(), options); });
    agent.emplace(agent_.Accept(lease_ttl));
    auto channel = dialled.get();
    EXPECT_THAT(channel.status(), base::IsOk());
    return *std::move(channel);
  }
  // A get, answered with all of `slab`.
  std::unique_ptr<object::ObjectReader> GetSlab(object::Channel& channel, AgentEnd& agent, const std::string& key,
                                                uint64_t epoch, uint64_t lease, const Slab& slab,
                                                bool has_descriptor = true) {
    auto got = Beside([&] { return channel.Get(key, base::kNoDeadline); });
    const ScriptedRequest get = agent.Expect(Op::kGet);
    agent.Reply(get, SharedObject(lease, key, epoch, {slab.Extent(has_descriptor)}),
                has_descriptor ? std::vector<int>{slab.fd.get()} : std::vector<int>());
    auto reader = got.get();
    EXPECT_THAT(reader.status(), base::IsOk());
    return *std::move(reader);
  }
  // A get of a long object, whose bytes are then asked for one READ at a time.
  static std::unique_ptr<object::ObjectReader> GetStream(object::Channel& channel, AgentEnd& agent,
                                                         const std::string& key, uint64_t epoch, uint64_t lease) {
    auto got = Beside([&] { return channel.Get(key, base::kNoDeadline); });
    agent.Reply(agent.Expect(Op::kGet), StreamObject(lease, key, epoch, base::kMiB));
    auto reader = got.get();
    EXPECT_THAT(reader.status(), base::IsOk());
    return *std::move(reader);
  }
  // A creation of "w", epoch 7, lease 5.
  static std::unique_ptr<object::ObjectWriter> CreateW(object::Channel& channel, AgentEnd& agent,
                                                       uint64_t size_hint = 0) {
    auto created = Beside([&] { return channel.Create({.key = "w", .size_hint = size_hint}, base::kNoDeadline); });
    agent.Reply(agent.Expect(Op::kCreate), base::ByteWriter().U64(5).U64(7));
    auto writer = created.get();
    EXPECT_THAT(writer.status(), base::IsOk());
    return *std::move(writer);
  }
  // Answers WINDOW with memory to write `size` bytes to.
  void GiveWindow(AgentEnd& agent, uint64_t size) {
    const ScriptedRequest asked = agent.Expect(Op::kWindow);
    windows_.push_back(*arena_->AllocateWindow("default", windows_.size() + 1, size));
    std::vector<WireExtent> extents;
    std::vector<base::UniqueFd> fds;
    std::vector<int> numbers;
    for (const arena::Range& range : windows_.back()) {
      fds.push_back(*range.OpenWritable());
      numbers.push_back(fds.back().get());
      extents.push_back({.segment = static_cast<uint32_t>(range.memory()->id()),
                         .has_descriptor = true,
                         .segment_size = range.memory()->size(),
                         .offset = range.offset(),
                         .length = range.size()});
    }
    base::ByteWriter given;
    given.U32(static_cast<uint32_t>(extents.size()));
    PutExtents(given, extents);
    agent.Reply(asked, given, numbers);
  }
  static uint64_t LeaseOf(const ScriptedRequest& request) { return request.in().U64(); }
  // Nothing maps `slab` but the agent, says the kernel.
  bool IsUnmapped(Slab slab) {
    slab = Slab();
    arena_->Maintain();
    return arena_->usage().quarantined == 0;
  }

  std::string directory() const { return dir_.path().string(); }
  base::TempDir dir_;
  ScriptedAgent agent_{directory()};
  std::unique_ptr<arena::Arena> arena_ = *arena::Arena::Create({.size = 32 * base::kMiB, .slab_size = base::kMiB});
  std::vector<std::vector<arena::Range>> windows_;
};

}  // namespace larder::transport::uds
