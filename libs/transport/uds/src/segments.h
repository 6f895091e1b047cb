#pragma once
#include <array>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "larder/base/bytes.h"
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
  // A segment for reading; null if its seals or its size are not what they must be, or it cannot be mapped.
  static std::shared_ptr<const Mapping> OfSegment(const base::UniqueFd& fd, uint64_t size);

 private:
  std::byte* data_;
  size_t size_;
};

// OK if `fd` is memory of `size` bytes that nobody can change or cut off any more: only a seal is a promise.
// FAILED_PRECONDITION (NOT_SEALED) otherwise, saying what it lacks.
absl::Status CheckSealed(int fd, uint64_t size);

// An object's bytes in this process.
struct Mapped {
  base::ByteSpan bytes;
  std::shared_ptr<const void> keep;  // what they lie in
};

// What is no longer wanted; unmapped at the end of its life, before which UNMAPPED must not be said.
struct Unwanted {
  std::vector<uint32_t> segments;
  std::vector<std::shared_ptr<const void>> mappings;
};

// The segments that the agent gave one connection, mapped read-only. Kept when nobody reads them, up to kKeepIdle
// bytes, so that a repeated get costs no mapping. Not thread-safe.
class Segments {
 public:
  static constexpr size_t kKeepIdle = 256 * 1024 * 1024;

  void Add(uint32_t id, std::shared_ptr<const Mapping> mapping);
  // The object that lies in `extents`. NOT_FOUND (NO_SEGMENT) if one of the segments is not here.
  absl::StatusOr<Mapped> Map(const std::vector<WireExtent>& extents);
  // What has been idle longest and is over the limit, and what is asked back and no longer read.
  Unwanted Trim();
  // What nobody has asked for since the last call: memory of deleted objects serves again only when no client maps it
  // any more.
  Unwanted DropUnused();
  // The agent asks for these back: those that nobody reads, at once; the others come with a later Trim. What is not
  // here is among the answer too, so that the agent learns it.
  Unwanted AskedBack(std::span<const uint32_t> ids);
  // As if they had never come.
  void Drop(std::span<const uint32_t> ids);
  // The connection has ended: forgets all. The segments that readers still keep mapped.
  std::vector<std::weak_ptr<const Mapping>> Leave();

 private:
  struct Segment {
    std::shared_ptr<const Mapping> mapping;
    uint64_t used = 0;  // grows with each use
    bool idle() const { return mapping.use_count() == 1; }
    size_t size() const { return mapping->size(); }
  };
  // An object of several extents, laid side by side.
  struct Joined {
    std::unique_ptr<Mapping> mapping;
    std::vector<std::shared_ptr<const Mapping>> parts;
  };
  struct JoinedEntry {
    std::shared_ptr<Joined> joined;
    uint64_t used = 0;
    bool idle() const { return joined.use_count() == 1; }
    size_t size() const { return joined->mapping->size(); }
  };
  using Shape = std::vector<std::array<uint64_t, 3>>;  // segment, offset, length

  static absl::StatusOr<std::shared_ptr<Joined>> Join(const std::vector<WireExtent>& extents,
                                                      std::vector<std::shared_ptr<const Mapping>> parts,
                                                      uint64_t total);
  template <typename Entries>
  void TrimIdle(Entries& entries, Unwanted& out);
  // Moves what nobody reads and `condition` holds for into `out`.
  template <typename Entries, typename Condition>
  void TakeIf(Entries& entries, Condition condition, Unwanted& out);
  void Take(const Shape& shape, JoinedEntry& entry, Unwanted& out);
  void Take(uint32_t id, Segment& segment, Unwanted& out);
  void TakeAskedBack(Unwanted& out);

  uint64_t clock_ = 0;
  uint64_t last_look_ = 0;  // clock_ at the last DropUnused
  std::map<uint32_t, Segment> segments_;
  std::map<Shape, JoinedEntry> joined_;
  std::set<uint32_t> asked_back_;  // some of segments_
};

}  // namespace larder::transport::uds
