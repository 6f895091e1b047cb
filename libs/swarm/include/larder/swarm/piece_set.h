#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "larder/base/mutex.h"

namespace larder::swarm {

// Pieces in a row.
struct PieceRun {
  uint32_t first = 0;
  uint32_t count = 0;
  bool Has(uint32_t piece) const { return piece >= first && piece - first < count; }
  bool operator==(const PieceRun&) const = default;
};
// However many there are.
inline constexpr PieceRun kAllPieces{0, UINT32_MAX};

// Some of an object's pieces: a bitmap. Plain data; piece numbers must be below size().
class PieceSet {
 public:
  PieceSet() = default;
  explicit PieceSet(uint32_t size) : words_((size + 63) / 64), size_(size) {}
  static PieceSet All(uint32_t size);

  bool Has(uint32_t piece) const { return (words_[piece / 64] >> (piece % 64) & 1) != 0; }
  void Add(uint32_t piece);
  void Add(PieceRun run);
  void Remove(uint32_t piece);
  uint32_t size() const { return size_; }
  uint32_t count() const { return count_; }
  bool full() const { return count_ == size_; }
  bool empty() const { return count_ == 0; }
  // The next one at or after `from`; size() if there is none.
  uint32_t NextFrom(uint32_t from) const;
  std::vector<PieceRun> Runs() const;
  bool operator==(const PieceSet&) const = default;

 private:
  std::vector<uint64_t> words_;
  uint32_t size_ = 0;
  uint32_t count_ = 0;
};

// Which pieces of an object a node has while it fetches it: what the fetch tells, what the node's PieceServer offers.
// Thread-safe.
class PieceMap {
 public:
  enum class State : uint8_t { kAbsent, kArriving, kHeld };
  using Listener = std::function<void()>;

  explicit PieceMap(PieceSet held) : held_(std::move(held)), arriving_(held_.size()) {}

  State at(uint32_t piece) const LARDER_EXCLUDES(mutex_);
  PieceSet held() const LARDER_EXCLUDES(mutex_);
  PieceSet arriving() const LARDER_EXCLUDES(mutex_);
  // Moves a piece on, or back; a held one stays held. Calls the listeners, under no lock.
  void Set(uint32_t piece, State state) LARDER_EXCLUDES(mutex_);
  // While it is set, what is held cannot be read, because it moves to another place: `at` says that it arrives. What
  // `held` and `arriving` say does not change.
  void SetMoving(bool moving) LARDER_EXCLUDES(mutex_);
  // Nothing more will come: what was arriving is absent.
  void Stop() LARDER_EXCLUDES(mutex_);
  // `listener` is called after each change, on the thread that makes it, as long as the token lives; maybe once more
  // while it ends.
  std::shared_ptr<void> Listen(Listener listener) LARDER_EXCLUDES(mutex_);

 private:
  void Tell() LARDER_EXCLUDES(mutex_);

  mutable base::Mutex mutex_;
  PieceSet held_ LARDER_GUARDED_BY(mutex_);
  PieceSet arriving_ LARDER_GUARDED_BY(mutex_);
  bool moving_ LARDER_GUARDED_BY(mutex_) = false;
  std::vector<std::weak_ptr<Listener>> listeners_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::swarm
