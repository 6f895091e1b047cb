#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/resp/commands.h"

namespace larder::resp::testing {

// The twin of the tracker: data commands on a map, answered at once. Expiry goes by `clock`'s wall time. Thread-safe.
class MemoryCommands final : public Commands {
 public:
  explicit MemoryCommands(const base::Clock& clock) : clock_(clock) {}
  void Execute(Call call, Done done) override LARDER_EXCLUDES(mutex_);

 private:
  using Key = std::tuple<std::string, int, std::string>;  // namespace, database, key
  struct Entry {
    std::string value;
    std::optional<int64_t> expires_ms;  // since 1970
  };

  Entry* Find(const Key& key) LARDER_REQUIRES(mutex_);
  void Apply(const Call& call, const Get& get, ReplyWriter& writer) LARDER_REQUIRES(mutex_);
  void Apply(const Call& call, const Set& set, ReplyWriter& writer) LARDER_REQUIRES(mutex_);
  void Apply(const Call& call, const Del& del, ReplyWriter& writer) LARDER_REQUIRES(mutex_);
  int64_t NowMilliseconds() const;

  const base::Clock& clock_;
  base::Mutex mutex_;
  std::map<Key, Entry> entries_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::resp::testing
