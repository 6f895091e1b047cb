#include "src/quota.h"

#include <utility>

#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::peers {

using object::Resource;

absl::Status CheckQuota(const std::string& ns, Resource resource, uint64_t use, uint64_t held, uint64_t more,
                        uint64_t limit) {
  if (limit == 0 || (use + held <= limit && more <= limit - use - held)) return absl::OkStatus();
  const bool bytes = resource == Resource::kMemory || resource == Resource::kDisk;
  const auto text = [bytes](uint64_t amount) { return bytes ? base::FormatBytes(amount) : std::to_string(amount); };
  const std::string_view name = object::ResourceName(resource);
  std::string beside;
  if (held > 0) beside = fmt::format(" (of it {} deleted, but still mapped by clients)", text(held));
  return base::Error(absl::StatusCode::kResourceExhausted, kQuotaExceeded,
                     "the quota '{0}' of namespace '{1}' is {2}: {3} in use{4}, {5} more asked (free some, or raise "
                     "'quotas.{1}.{0}')",
                     name, ns, text(limit), text(use + held), beside, text(more));
}

ByteQuota::Charge::Charge(Charge&& other) noexcept
    : table_(std::exchange(other.table_, nullptr)),
      ns_(std::move(other.ns_)),
      bytes_(std::exchange(other.bytes_, uint64_t{0})) {}
ByteQuota::Charge& ByteQuota::Charge::operator=(Charge&& other) noexcept {
  if (this == &other) return *this;
  if (table_ != nullptr) table_->Settle(*this, 0);
  table_ = std::exchange(other.table_, nullptr);
  ns_ = std::move(other.ns_);
  bytes_ = std::exchange(other.bytes_, uint64_t{0});
  return *this;
}
ByteQuota::Charge::~Charge() {
  if (table_ != nullptr) table_->Settle(*this, 0);
}

ByteQuota::Charge ByteQuota::Open(const std::string& ns) {
  Charge charge;
  charge.table_ = this;
  charge.ns_ = ns;
  return charge;
}

void ByteQuota::Add(const std::string& ns, uint64_t bytes) {
  const auto it = use_.try_emplace(ns).first;
  it->second += bytes;
  if (it->second == 0) use_.erase(it);
}

absl::Status ByteQuota::GrowTo(Charge& charge, uint64_t bytes, const Bound& bound) {
  if (bytes <= charge.bytes_) return absl::OkStatus();
  base::MutexLock lock(mutex_);
  const auto it = use_.find(charge.ns_);
  const uint64_t use = it == use_.end() ? 0 : it->second;
  LARDER_RETURN_IF_ERROR(CheckQuota(charge.ns_, resource_, use, bound.held, bytes - charge.bytes_, bound.limit));
  Add(charge.ns_, bytes - charge.bytes_);
  charge.bytes_ = bytes;
  return absl::OkStatus();
}

void ByteQuota::Settle(Charge& charge, uint64_t bytes) {
  base::MutexLock lock(mutex_);
  Add(charge.ns_, bytes - charge.bytes_);
  charge.bytes_ = bytes;
}

uint64_t ByteQuota::UseOf(const std::string& ns) const {
  base::MutexLock lock(mutex_);
  const auto it = use_.find(ns);
  return it == use_.end() ? 0 : it->second;
}

}  // namespace larder::peers
