#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>

#include "larder/base/mutex.h"
#include "larder/object/object.h"

namespace larder::peers {

inline constexpr char kQuotaExceeded[] = "QUOTA_EXCEEDED";

// OK if a namespace that uses `use`, of it `held` by what no object of its own holds, may have `more`.
// RESOURCE_EXHAUSTED (QUOTA_EXCEEDED) naming quota, use and limit otherwise. `limit` 0: none.
absl::Status CheckQuota(const std::string& ns, object::Resource resource, uint64_t use, uint64_t held, uint64_t more,
                        uint64_t limit);

// The bytes that each namespace's objects hold, of one resource. Thread-safe; its lock is the innermost.
class ByteQuota {
 public:
  explicit ByteQuota(object::Resource resource) : resource_(resource) {}

  // A namespace's bytes, given back at the end of its life. One owner at a time; the table outlives it.
  class Charge {
   public:
    Charge() = default;
    Charge(Charge&& other) noexcept;
    Charge& operator=(Charge&& other) noexcept;
    ~Charge();
    uint64_t bytes() const { return bytes_; }

   private:
    friend class ByteQuota;
    ByteQuota* table_ = nullptr;
    std::string ns_;
    uint64_t bytes_ = 0;
  };
  // What a refusal is decided by: the limit, and what the namespace holds besides.
  struct Bound {
    uint64_t limit = 0;
    uint64_t held = 0;
  };
  // No bytes yet, on the account of `ns`.
  Charge Open(const std::string& ns);
  // Makes it at least `bytes`. RESOURCE_EXHAUSTED (QUOTA_EXCEEDED) leaves it as it was.
  absl::Status GrowTo(Charge& charge, uint64_t bytes, const Bound& bound) LARDER_EXCLUDES(mutex_);
  // Makes it `bytes`, whatever the limit: for what is there already.
  void Settle(Charge& charge, uint64_t bytes) LARDER_EXCLUDES(mutex_);
  uint64_t UseOf(const std::string& ns) const LARDER_EXCLUDES(mutex_);

 private:
  void Add(const std::string& ns, uint64_t bytes) LARDER_REQUIRES(mutex_);
  const object::Resource resource_;
  mutable base::Mutex mutex_;
  std::map<std::string, uint64_t> use_ LARDER_GUARDED_BY(mutex_);  // none: absent
};

}  // namespace larder::peers
