#include "core/grants.h"

#include <algorithm>

#include "larder/base/status.h"
#include "larder/object/ids.h"

namespace larder::cache_agent {
namespace {

constexpr object::Rights kReading = {object::Verb::kGet, object::Verb::kList};
constexpr std::string_view kByReadOnly = ", by a volume with `access: read`,";

bool Holds(const Grant& grant, const Account& account, const std::string& ns) {
  return grant.ns == account.ns && (grant.service_account == "*" || grant.service_account == account.service_account) &&
         std::ranges::find(grant.on, ns) != grant.on.end();
}

object::Rights Narrowed(object::Rights rights, bool read_only) { return read_only ? rights & kReading : rights; }

}  // namespace

std::string Shown(const Account& account) {
  return fmt::format("ServiceAccount {}/{}", account.ns, account.service_account);
}

object::Rights RightsOf(const std::deque<Grant>& grants, const Account& account, const std::string& ns) {
  object::Rights rights;
  bool named = false;
  for (const Grant& grant : grants) {
    if (!Holds(grant, account, ns)) continue;
    named = true;
    for (const std::string& name : grant.verbs) {
      if (const auto verb = object::VerbOfName(name)) rights.Add(*verb);
    }
  }
  return named || ns != account.ns ? rights : object::Rights::All();
}

absl::Status NoGrant(const std::string& account, std::string_view verb, const std::string& ns) {
  return base::Error(absl::StatusCode::kPermissionDenied, "NO_GRANT",
                     "{} may not {} in namespace '{}': the agent's `grants` would have to give it verbs: [{}] on: [{}]",
                     account, verb, ns, verb, ns);
}

absl::Status CheckVerb(const std::string& name) {
  if (object::VerbOfName(name)) return absl::OkStatus();
  return base::InvalidArgument("BAD_VALUE", "'{}' is not a verb: get, put, delete, list or pin", name);
}

absl::Status MayCome(const std::deque<Grant>& grants, const Account& account, bool read_only) {
  if (!Narrowed(RightsOf(grants, account, account.ns), read_only).empty()) return absl::OkStatus();
  for (const Grant& grant : grants) {
    for (const std::string& ns : grant.on) {
      if (!Narrowed(RightsOf(grants, account, ns), read_only).empty()) return absl::OkStatus();
    }
  }
  return NoGrant(Shown(account) + std::string(read_only ? kByReadOnly : ""), VerbName(object::Verb::kGet), account.ns);
}

std::shared_ptr<const std::deque<Grant>> GrantTable::Now() const {
  base::MutexLock lock(mutex_);
  return grants_;
}

absl::Status GrantTable::MayCome(const Account& account, bool read_only) const {
  return cache_agent::MayCome(*Now(), account, read_only);
}

void GrantTable::Replace(const std::deque<Grant>& grants) {
  auto replaced = std::make_shared<const std::deque<Grant>>(grants);
  base::MutexLock lock(mutex_);
  grants_ = std::move(replaced);
}

absl::StatusOr<object::SessionOwner> GrantTable::OwnerFor(const Account& account, bool read_only,
                                                          const std::string& asked_ns) const {
  object::SessionOwner owner{.ns = asked_ns.empty() ? account.ns : asked_ns, .account = Shown(account)};
  LARDER_RETURN_IF_ERROR(object::CheckNamespace(owner.ns));
  owner.rights = Narrowed(RightsOf(*Now(), account, owner.ns), read_only);
  if (read_only) owner.account += kByReadOnly;
  if (owner.rights.empty()) return NoGrant(owner.account, "get", owner.ns);
  return owner;
}

}  // namespace larder::cache_agent
