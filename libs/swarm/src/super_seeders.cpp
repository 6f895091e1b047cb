#include "src/super_seeders.h"

#include <utility>
#include <vector>

namespace larder::swarm {
namespace {

// All children's connections look after it.
constexpr auto kTick = std::chrono::milliseconds(100);

}  // namespace

template <typename Change>
void SuperSeeders::Object::Do(Now now, Change change) {
  std::vector<std::function<void()>> calls;
  {
    base::MutexLock lock(mutex);
    change(seeding);
    advanced = now;
    for (const SuperSeeding::Child child : seeding.Advance(now)) calls.push_back(told_more.at(child));
  }
  for (const auto& call : calls) call();
}

SuperSeeders::Seat::Seat(std::shared_ptr<Object> object, SuperSeeding::Child child)
    : object_(std::move(object)), child_(child) {}

SuperSeeders::Seat::~Seat() {
  {
    base::MutexLock lock(object_->mutex);
    object_->told_more.erase(child_);
    object_->seeding.Leave(child_);
  }
  // The others are offered what it leaves at their next change, or Tick.
}

PieceSet SuperSeeders::Seat::told() const {
  base::MutexLock lock(object_->mutex);
  return object_->seeding.told(child_);
}

void SuperSeeders::Seat::Asked(PieceRun run, Now now) {
  base::MutexLock lock(object_->mutex);
  object_->seeding.Asked(child_, run, now);
}

void SuperSeeders::Seat::Moved(Now now) {
  base::MutexLock lock(object_->mutex);
  object_->seeding.Moved(child_, now);
}

void SuperSeeders::Seat::Sent(uint32_t piece, Now now) {
  object_->Do(now, [&](SuperSeeding& seeding) {
    seeding.Moved(child_, now);
    seeding.Sent(child_, piece, now);
  });
}

void SuperSeeders::Seat::Tick(Now now) {
  {
    base::MutexLock lock(object_->mutex);
    if (now - object_->advanced < kTick) return;
  }
  object_->Do(now, [](SuperSeeding&) {});
}

std::unique_ptr<SuperSeeders::Seat> SuperSeeders::Join(const object::ObjectId& id, object::Epoch epoch,
                                                       uint32_t piece_length, uint32_t pieces,
                                                       std::function<void()> told_more, Now now) {
  if (pieces < kFewestSeeded) return nullptr;
  std::shared_ptr<Object> object;
  {
    base::MutexLock lock(mutex_);
    std::erase_if(objects_, [](const auto& entry) { return entry.second.expired(); });
    std::weak_ptr<Object>& known = objects_[{id, epoch, piece_length}];
    object = known.lock();
    if (object == nullptr)
      known = object = std::make_shared<Object>(SuperSeeding(pieces, next_seed_++, now, patience_));
  }
  SuperSeeding::Child child = 0;
  {
    base::MutexLock lock(object->mutex);
    if (object->seeding.over()) return nullptr;
    child = object->next++;
    object->seeding.Join(child, now);
    object->told_more[child] = std::move(told_more);
  }
  object->Do(now, [](SuperSeeding&) {});
  return std::make_unique<Seat>(object, child);
}

}  // namespace larder::swarm
