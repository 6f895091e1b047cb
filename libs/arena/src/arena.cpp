#include "larder/arena/arena.h"

#include <algorithm>
#include <bit>

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "src/pool.h"

namespace larder::arena {

// ---- Range, PrivateCharge

Range::Range(std::shared_ptr<Pool> pool, std::shared_ptr<Slab> slab, uint64_t offset, uint64_t size)
    : pool_(std::move(pool)), slab_(std::move(slab)), offset_(offset), size_(size) {}
Range::Range(Range&& other) noexcept
    : pool_(std::move(other.pool_)), slab_(std::move(other.slab_)), offset_(other.offset_), size_(other.size_) {}
Range& Range::operator=(Range&& other) noexcept {
  if (this != &other) {
    Free();
    pool_ = std::move(other.pool_);
    slab_ = std::move(other.slab_);
    offset_ = other.offset_;
    size_ = other.size_;
  }
  return *this;
}
Range::~Range() { Free(); }
void Range::Free() {
  if (pool_ != nullptr) pool_->Free(slab_, offset_, size_);
  slab_.reset();
  pool_.reset();
}
std::byte* Range::data() const { return slab_->data() + offset_; }
bool Range::Sparse() const { return pool_ != nullptr && pool_->Sparse(*slab_); }
std::shared_ptr<const object::SharedMemory> Range::memory() const { return slab_; }
absl::StatusOr<base::UniqueFd> Range::OpenWritable() const { return slab_->OpenWritable(); }
void Range::Shrink(uint64_t size) {
  if (size >= size_) return;
  pool_->Shrink(*slab_, offset_, size_, size);
  size_ = size;
}

PrivateCharge::PrivateCharge(PrivateCharge&& other) noexcept
    : pool_(std::move(other.pool_)), bytes_(other.bytes_), withheld_from_(std::move(other.withheld_from_)) {}
PrivateCharge& PrivateCharge::operator=(PrivateCharge&& other) noexcept {
  if (this != &other) {
    Free();
    pool_ = std::move(other.pool_);
    bytes_ = other.bytes_;
    withheld_from_ = std::move(other.withheld_from_);
  }
  return *this;
}
PrivateCharge::~PrivateCharge() { Free(); }
void PrivateCharge::Shrink(uint64_t bytes) {
  if (bytes >= bytes_) return;
  pool_->FreePrivate(bytes_ - bytes, withheld_from_);
  bytes_ = bytes;
}
void PrivateCharge::Add(PrivateCharge more) {
  if (pool_ == nullptr) {
    *this = std::move(more);
    return;
  }
  bytes_ += std::exchange(more.bytes_, 0);
  more.pool_.reset();
}
void PrivateCharge::Free() {
  if (pool_ != nullptr) pool_->FreePrivate(bytes_, withheld_from_);
  pool_.reset();
}

// ---- Arena

absl::StatusOr<std::unique_ptr<Arena>> Arena::Create(const Options& options) {
  const uint64_t slab_size = options.slab_size != 0
                                 ? options.slab_size
                                 : std::bit_floor(std::clamp(options.size / 64, kSmallSlab, 16 * kSmallSlab));
  if (!std::has_single_bit(slab_size) || slab_size < base::kMiB || options.size < 4 * slab_size) {
    return base::InvalidArgument("BAD_ARENA",
                                 "an arena of {} with slabs of {} is too small (at least four slabs; 16MiB)",
                                 base::FormatBytes(options.size), base::FormatBytes(slab_size));
  }
  auto pool = std::make_shared<Pool>(options.size, slab_size);
  LARDER_RETURN_IF_ERROR(pool->Start());
  return std::unique_ptr<Arena>(new Arena(std::move(pool)));
}

Arena::Arena(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}
Arena::~Arena() = default;

absl::StatusOr<Range> Arena::AllocateSealed(const std::string& ns, uint64_t want, uint64_t least, Purpose purpose) {
  return pool_->AllocateSealed(ns, want, least, purpose);
}
absl::StatusOr<std::vector<Range>> Arena::AllocateWindow(const std::string& ns, uint64_t owner, uint64_t size,
                                                         uint64_t most) {
  return pool_->AllocateWindow(ns, owner, size, most);
}
absl::StatusOr<PrivateCharge> Arena::ChargePrivate(uint64_t bytes) { return pool_->ChargePrivate(bytes); }
absl::StatusOr<PrivateCharge> Arena::Withhold(const std::string& ns, uint64_t bytes) {
  return pool_->Withhold(ns, bytes);
}
void Arena::Maintain() { pool_->Maintain(); }
uint64_t Arena::HeldBeside(const std::string& ns) const { return pool_->HeldBeside(ns); }
std::vector<uint64_t> Arena::Quarantined() const { return pool_->Quarantined(); }
Arena::Usage Arena::usage() const { return pool_->usage(); }
uint64_t Arena::slab_size() const { return pool_->slab_size(); }
bool Arena::recycles() const { return pool_->recycles(); }

}  // namespace larder::arena
