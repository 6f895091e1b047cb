#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/records.h"
#include "larder/base/mutex.h"

namespace larder::tracker {

// How many objects each namespace has, sealed or being created: those of a snapshot, which are counted while more come,
// and what entries changed since. Of this member alone, and not in the table. Thread-safe.
class RecordCounts {
 public:
  struct Count {
    std::string ns;
    uint64_t records = 0;
  };
  // Namespaces that are told apart; the others are one, kOthers.
  static constexpr size_t kTold = 100;
  static constexpr const char* kOthers = "other";

  void Add(const RecordChanges& changes) LARDER_EXCLUDES(mutex_);
  // All of the snapshot are added.
  void Complete() LARDER_EXCLUDES(mutex_);
  // The namespaces with the most, by name, then kOthers if there are more. None before Complete.
  std::vector<Count> Largest() const LARDER_EXCLUDES(mutex_);

 private:
  mutable base::Mutex mutex_;
  bool complete_ LARDER_GUARDED_BY(mutex_) = false;
  RecordChanges counts_ LARDER_GUARDED_BY(mutex_);  // none is 0; below it only while the snapshot is counted
};

}  // namespace larder::tracker
