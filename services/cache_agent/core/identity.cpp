#include "core/identity.h"

#include "larder/base/status.h"

namespace larder::cache_agent {
namespace {

constexpr char kDefaultNamespace[] = "default";

absl::StatusOr<object::SessionOwner> IdentifyOpen(int32_t pid, const std::string& asked_ns) {
  object::SessionOwner owner{.ns = asked_ns.empty() ? kDefaultNamespace : asked_ns, .pid = pid};
  LARDER_RETURN_IF_ERROR(object::CheckNamespace(owner.ns));
  return owner;
}

}  // namespace

Identify IdentifyBy(Identity identity) {
  switch (identity) {
    case Identity::kOpen:
      return IdentifyOpen;
  }
  return nullptr;
}

}  // namespace larder::cache_agent
