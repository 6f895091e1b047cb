#pragma once
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/base/mutex.h"
#include "larder/base/unique_fd.h"
#include "src/wire.h"

namespace larder::transport::uds {

// A piece of this process's address space; unmapped at the end of its life.
class Mapping {
 public:
  Mapping(std::byte* data, size_t size) : data_(data), size_(size) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();
  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

  // Address space without memory, for `size` bytes, to lay other mappings into.
  static absl::StatusOr<std::unique_ptr<Mapping>> Reserve(size_t size);

 private:
  std::byte* data_;
  size_t size_;
};

// An object's bytes in this process; keeps their mappings.
struct Mapped {
  base::ByteSpan bytes;
  std::vector<std::shared_ptr<const Mapping>> keeps;
};

// The segments that the agent gave this connection, mapped read-only. Kept when nobody reads them, up to kKeepIdle
// bytes, so that a repeated get costs no mapping. Thread-safe.
class Segments {
 public:
  static constexpr size_t kKeepIdle = 256 * 1024 * 1024;

  // Checks seals and size, and maps. A segment that fails is simply not there.
  void Add(uint32_t id, uint64_t size, base::UniqueFd fd) LARDER_EXCLUDES(mutex_);
  // The object that lies in `extents`. NOT_FOUND (NO_SEGMENT) if one of the segments is not here.
  absl::StatusOr<Mapped> Map(const std::vector<WireExtent>& extents) LARDER_EXCLUDES(mutex_);
  // Unmaps what has been idle longest and is over the limit; the segments' ids are for UNMAPPED.
  std::vector<uint32_t> Trim() LARDER_EXCLUDES(mutex_);
  // Unmaps what nobody has asked for since the last call: memory of deleted objects serves again only when no client
  // maps it any more.
  std::vector<uint32_t> DropUnused() LARDER_EXCLUDES(mutex_);
  // As if they had never come.
  void Drop(const std::vector<uint32_t>& ids) LARDER_EXCLUDES(mutex_);

 private:
  struct Segment {
    std::shared_ptr<const Mapping> mapping;
    uint64_t used = 0;  // grows with each use
  };
  // Objects of several extents, laid side by side.
  struct Joined {
    std::shared_ptr<const Mapping> mapping;
    std::vector<std::shared_ptr<const Mapping>> parts;
    uint64_t used = 0;
  };
  using Shape = std::vector<std::array<uint64_t, 3>>;  // segment, offset, length

  base::Mutex mutex_;
  uint64_t clock_ LARDER_GUARDED_BY(mutex_) = 0;
  uint64_t last_look_ LARDER_GUARDED_BY(mutex_) = 0;  // clock_ at the last DropUnused
  std::map<uint32_t, Segment> segments_ LARDER_GUARDED_BY(mutex_);
  std::map<Shape, Joined> joined_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::transport::uds
