#pragma once
#include <functional>
#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include "larder/base/mutex.h"
#include "larder/object/ids.h"
#include "src/super_seeding.h"

namespace larder::swarm {

// The super-seeding of each object that a server gives to children of several loops. Thread-safe.
class SuperSeeders {
  struct Object;

 public:
  using Now = base::MonotonicTime;

  explicit SuperSeeders(base::Duration patience) : patience_(patience) {}

  // A child's part in it, as long as it lives.
  class Seat {
   public:
    Seat(std::shared_ptr<Object> object, SuperSeeding::Child child);
    ~Seat();
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;

    PieceSet told() const;
    void Asked(PieceRun run, Now now);
    // Data were sent,
    void Moved(Now now);
    // the last of a piece, too.
    void Sent(uint32_t piece, Now now);
    // A few times a second.
    void Tick(Now now);

   private:
    const std::shared_ptr<Object> object_;
    const SuperSeeding::Child child_;
  };

  // `told_more` is called on any thread, under no lock, when told() has grown; maybe once more while the seat ends.
  // Null where it is of no use: the object has few pieces, or each has left before.
  std::unique_ptr<Seat> Join(const object::ObjectId& id, object::Epoch epoch, uint32_t piece_length, uint32_t pieces,
                             std::function<void()> told_more, Now now) LARDER_EXCLUDES(mutex_);

 private:
  struct Object {
    explicit Object(SuperSeeding object_seeding) : seeding(std::move(object_seeding)) {}
    base::Mutex mutex;
    SuperSeeding seeding LARDER_GUARDED_BY(mutex);
    SuperSeeding::Child next LARDER_GUARDED_BY(mutex) = 1;
    Now advanced LARDER_GUARDED_BY(mutex);
    std::map<SuperSeeding::Child, std::function<void()>> told_more LARDER_GUARDED_BY(mutex);
    // Does `change` to the seeding, and what follows of it.
    template <typename Change>
    void Do(Now now, Change change) LARDER_EXCLUDES(mutex);
  };
  using Key = std::tuple<object::ObjectId, object::Epoch, uint32_t>;

  const base::Duration patience_;
  base::Mutex mutex_;
  uint64_t next_seed_ LARDER_GUARDED_BY(mutex_) = 1;
  std::map<Key, std::weak_ptr<Object>> objects_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::swarm
