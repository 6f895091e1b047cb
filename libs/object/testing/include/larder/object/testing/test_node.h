#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "larder/arena/arena.h"
#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/object/backend.h"
#include "larder/object/blob.h"
#include "larder/object/registries.h"

namespace larder::object {

// A clock that moves only when told to; its wall clock can also be set by hand, as people and NTP do. Thread-safe.
class NodeClock final : public base::Clock {
 public:
  void Advance(base::Duration by) { manual_.Advance(by); }
  void SetWallAhead(base::Duration by) { ahead_.store(by.count()); }
  base::MonotonicTime Now() const override { return manual_.Now(); }
  base::MonotonicTime BootNow() const override { return manual_.BootNow(); }
  base::WallTime WallNow() const override { return manual_.WallNow() + base::Duration(ahead_.load()); }

 private:
  base::ManualClock manual_;
  std::atomic<base::Duration::rep> ahead_ = 0;
};

// What one backend needs of its node: a directory, an arena, a clock. Throws, which fails the test, if something cannot
// be made. Not thread-safe; what it holds is.
class TestNode {
 public:
  struct Options {
    uint64_t arena_bytes = 24 * base::kMiB;
    uint64_t slab_bytes = base::kMiB;
    uint64_t max_bytes = 0;
  };
  explicit TestNode(BackendEntry entry);
  TestNode(BackendEntry entry, const Options& options);

  Backend& backend() { return *backend_; }
  NodeClock& clock() { return clock_; }
  arena::Arena& arena() { return *arena_; }
  const std::filesystem::path& dir() const { return dir_.path(); }
  // Ends the backend and makes it anew on the same directory, as a restart does. Recover is the caller's.
  void Restart();
  // Bytes in use by this node's backend, once the arena has looked after what was let go.
  uint64_t Used();

 private:
  BackendEntry entry_;
  Options options_;
  base::TempDir dir_;
  NodeClock clock_;
  std::unique_ptr<arena::Arena> arena_;
  std::unique_ptr<Backend> backend_;
};

// `size` bytes that look random, the same for the same `seed`.
std::vector<std::byte> SampleBytes(uint64_t size, uint64_t seed = 1);
// All bytes of a view, read in one call; a failure of the test and no bytes if that fails.
std::vector<std::byte> BytesOf(const BlobView& view);

}  // namespace larder::object
