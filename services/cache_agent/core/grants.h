#pragma once
#include <absl/status/statusor.h>

#include <deque>
#include <memory>
#include <string>

#include "larder/base/mutex.h"
#include "larder/cache_agent/config.h"
#include "larder/object/peer.h"
#include "larder/object/rights.h"

namespace larder::cache_agent {

// Whom grants are made to, as Kubernetes names it.
struct Account {
  std::string ns;
  std::string service_account;
  bool operator==(const Account&) const = default;
};
// "ServiceAccount team-a/trainer".
std::string Shown(const Account& account);

// What pods of `account` may do in namespace `ns`: everything in their own unless a grant names it; else what grants
// say. Pure.
object::Rights RightsOf(const std::deque<Grant>& grants, const Account& account, const std::string& ns);

// PERMISSION_DENIED (NO_GRANT), the message naming the grant that is missing. `verb` as in grants. Pure.
absl::Status NoGrant(const std::string& account, std::string_view verb, const std::string& ns);

// INVALID_ARGUMENT (BAD_VALUE) unless it is a verb's name.
absl::Status CheckVerb(const std::string& name);

// OK if pods of `account` may do anything anywhere; `read_only`: by reading. PERMISSION_DENIED (NO_GRANT) names what
// their own namespace lacks. Pure.
absl::Status MayCome(const std::deque<Grant>& grants, const Account& account, bool read_only);

// The grants as configured now. Thread-safe; a look never blocks.
class GrantTable {
 public:
  explicit GrantTable(const std::deque<Grant>& grants) { Replace(grants); }
  void Replace(const std::deque<Grant>& grants) LARDER_EXCLUDES(mutex_);
  // The session of a pod of `account` that asks for namespace `asked_ns` (empty: its own); `read_only`: it wants to
  // read only. PERMISSION_DENIED (NO_GRANT): nothing is allowed it there. INVALID_ARGUMENT (BAD_NAMESPACE).
  absl::StatusOr<object::SessionOwner> OwnerFor(const Account& account, bool read_only,
                                                const std::string& asked_ns) const LARDER_EXCLUDES(mutex_);
  // As the function of the same name.
  absl::Status MayCome(const Account& account, bool read_only) const LARDER_EXCLUDES(mutex_);

 private:
  std::shared_ptr<const std::deque<Grant>> Now() const LARDER_EXCLUDES(mutex_);

  mutable base::Mutex mutex_;
  std::shared_ptr<const std::deque<Grant>> grants_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::cache_agent
