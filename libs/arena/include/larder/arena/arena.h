#pragma once
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "larder/base/unique_fd.h"
#include "larder/object/blob.h"

namespace larder::arena {

class Slab;
class Pool;

// Part of one slab, freed at the end of its life. Movable; one owner at a time; may outlive the Arena object.
class Range {
 public:
  Range() = default;
  Range(Range&& other) noexcept;
  Range& operator=(Range&& other) noexcept;
  ~Range();

  // The agent's own, writable mapping.
  std::byte* data() const;
  // It holds up a slab of which much was freed: its bytes would lie better elsewhere. Any thread.
  bool Sparse() const;
  uint64_t size() const { return size_; }
  uint64_t offset() const { return offset_; }
  // The slab, to hand to another process; null for an empty range.
  std::shared_ptr<const object::SharedMemory> memory() const;
  // A writable description, for the one connection that a window belongs to.
  absl::StatusOr<base::UniqueFd> OpenWritable() const;
  // Keeps the first `size` bytes only.
  void Shrink(uint64_t size);

 private:
  friend class Pool;
  Range(std::shared_ptr<Pool> pool, std::shared_ptr<Slab> slab, uint64_t offset, uint64_t size);
  void Free();
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Slab> slab_;
  uint64_t offset_ = 0;
  uint64_t size_ = 0;
};

// Bytes of ordinary memory taken out of the arena's budget; given back at the end of its life.
class PrivateCharge {
 public:
  PrivateCharge() = default;
  PrivateCharge(PrivateCharge&& other) noexcept;
  PrivateCharge& operator=(PrivateCharge&& other) noexcept;
  ~PrivateCharge();

  uint64_t bytes() const { return bytes_; }
  // Gives all but `bytes` of it back; nothing if it is no more than that.
  void Shrink(uint64_t bytes);
  // It is for `more`, too, which is of the same kind and account.
  void Add(PrivateCharge more);

 private:
  friend class Pool;
  PrivateCharge(std::shared_ptr<Pool> pool, uint64_t bytes, std::string withheld_from = {})
      : pool_(std::move(pool)), bytes_(bytes), withheld_from_(std::move(withheld_from)) {}
  void Free();
  std::shared_ptr<Pool> pool_;
  uint64_t bytes_ = 0;
  std::string withheld_from_;  // the namespace on whose account it is; empty: nobody's
};

enum class Purpose : uint8_t {
  kNew,   // leaves a slab's worth unused, so that what lies badly can be moved
  kMove,  // of what is there already: may use that, too
};

// A fixed budget of memory, touched at start, cut into slabs: sealed memfds of one namespace each, whose pages another
// process may map. A slab is used again only when the kernel proves that nobody else can see it (the agent's counted
// description gets a write lease: fcntl(2), F_SETLEASE), is zeroed then, and stays with its namespace; for another one
// it is dropped and made anew. Until the proof it is in quarantine, and so is a dropped slab that others could see
// until the kernel reports its inode's end (inotify(7)), which also sees descriptors that the lease does not.
// Thread-safe.
class Arena {
 public:
  struct Options {
    uint64_t size = 1ull << 30;  // bytes, all of it touched by Create
    uint64_t slab_size = 0;      // a power of two; 0: size/64, within 4..64 MiB
  };
  // INVALID_ARGUMENT (BAD_ARENA), RESOURCE_EXHAUSTED when memory or descriptors are short.
  static absl::StatusOr<std::unique_ptr<Arena>> Create(const Options& options);
  ~Arena();

  // Memory for sealed objects of `ns`, which others can only ever read: between `least` and `want` bytes in one range
  // (least <= slab size). Up to 1 MiB it is packed, 64-byte aligned; above, page-aligned, and shorter than `want` only
  // when it ends with its slab. RESOURCE_EXHAUSTED (ARENA_FULL), naming limit and use.
  absl::StatusOr<Range> AllocateSealed(const std::string& ns, uint64_t want, uint64_t least,
                                       Purpose purpose = Purpose::kNew);
  // Memory that the agent and one client both write, all zero: ranges of slabs that serve nothing else, in order,
  // together `size` bytes (rounded up to pages). They serve again only for the same `owner`, a number that is one
  // client's for ever: who could write it once may have ways to write it that no proof sees (O_PATH descriptors, pages
  // pinned by io_uring). At most a third of the arena serves as windows, those in quarantine among them, and what one
  // namespace has beyond one window is at most twice what it leaves to others, and `most` bytes (0: no such limit):
  // RESOURCE_EXHAUSTED (NO_WINDOW).
  absl::StatusOr<std::vector<Range>> AllocateWindow(const std::string& ns, uint64_t owner, uint64_t size,
                                                    uint64_t most = 0);
  // Leave to use `bytes` of the heap. RESOURCE_EXHAUSTED (ARENA_FULL). Takes as long as to drop
  // the slabs whose place it takes.
  absl::StatusOr<PrivateCharge> ChargePrivate(uint64_t bytes);
  // Leaves `bytes` unused, on the account of `ns`: its clients hold as much of another arena on this node. At most half
  // of the arena in all, and of that, beyond a first claim, twice what a namespace leaves to others:
  // RESOURCE_EXHAUSTED (NOT_WITHHELD, ARENA_FULL). Takes as long.
  absl::StatusOr<PrivateCharge> Withhold(const std::string& ns, uint64_t bytes);

  // Tries the proof on what is in quarantine, zeroes what passed, gives dropped memory back, and keeps a slab ready for
  // whoever comes. To be called often, off the event threads.
  void Maintain();

  // What `ns` is answerable for beside its objects and windows, in bytes: quarantine, dropped slabs that somebody still
  // has, what is withheld for it, and what the freed parts between its objects are more than a slab and a quarter of
  // these objects.
  uint64_t HeldBeside(const std::string& ns) const;
  // The ids of the slabs in quarantine: who was given one should let it go.
  std::vector<uint64_t> Quarantined() const;

  // Bytes; free + live + quarantined = limit, in whole slabs.
  struct Usage {
    uint64_t limit = 0;
    uint64_t free = 0;
    uint64_t live = 0;         // slabs in use and private memory
    uint64_t quarantined = 0;  // slabs without content that some process may still see, or that are not zeroed yet
    uint64_t allocated = 0;    // of live: what ranges and private memory hold
    uint64_t windows = 0;      // of live: write windows
    uint64_t wasted = 0;       // of live: freed parts of sealed slabs that hold something still
    uint64_t scattered = 0;    // of wasted: what counts against namespaces (HeldBeside)
    uint64_t reserved = 0;     // of limit: only what is moved may use it
  };
  Usage usage() const;
  uint64_t slab_size() const;
  // False where the kernel cannot prove reuse (self-test at start): slabs are then dropped, never used again.
  bool recycles() const;

 private:
  explicit Arena(std::shared_ptr<Pool> pool);
  std::shared_ptr<Pool> pool_;
};

}  // namespace larder::arena
