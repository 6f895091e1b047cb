#include "src/slab.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>

#include "larder/base/status.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace larder::arena {
namespace {

// Ids go over the wire as 32 bits and are never reused within a process.
uint64_t NextSlabId() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

absl::StatusOr<base::UniqueFd> Reopen(int fd, int flags) {
  base::UniqueFd opened(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), flags | O_CLOEXEC));
  if (!opened) return base::ErrnoError(errno, "reopen a memfd (is /proc mounted?)");
  return opened;
}

}  // namespace

absl::StatusOr<std::shared_ptr<Slab>> Slab::Make(uint64_t size) {
  std::shared_ptr<Slab> slab(new Slab(NextSlabId(), size));
  slab->memfd_.Reset(::memfd_create("larder", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!slab->memfd_) return base::ErrnoError(errno, "memfd_create");
  if (::ftruncate(slab->memfd_.get(), static_cast<off_t>(size)) != 0) return base::ErrnoError(errno, "size a memfd");
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, slab->memfd_.get(), 0);
  if (at == MAP_FAILED) return base::ErrnoError(errno, "map a memfd");
  slab->data_ = static_cast<std::byte*>(at);
  if (::madvise(at, size, MADV_POPULATE_WRITE) != 0) {
    if (errno != EINVAL) return base::ErrnoError(errno, "touch the arena's memory");
    std::memset(at, 0, size);  // before Linux 5.14
  }
  LARDER_ASSIGN_OR_RETURN(slab->counted_, Reopen(slab->memfd_.get(), O_RDWR));
  return slab;
}

Slab::~Slab() {
  if (data_ == nullptr) return;
  ::munmap(data_, size_);
  // An O_PATH descriptor would keep the pages. A sealed slab's cannot be given back so.
  if (use == SlabUse::kWindow) {
    ::fallocate(memfd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size_));
  }
}

absl::StatusOr<base::UniqueFd> Slab::OpenReadOnly() const { return Reopen(memfd_.get(), O_RDONLY); }
absl::StatusOr<base::UniqueFd> Slab::OpenWritable() const { return Reopen(memfd_.get(), O_RDWR); }

absl::Status Slab::Assign(SlabUse new_use, std::string new_ns, uint64_t new_owner) {
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (new_use == SlabUse::kSealed) seals |= F_SEAL_FUTURE_WRITE;
  if (::fcntl(memfd_.get(), F_ADD_SEALS, seals) != 0) return base::ErrnoError(errno, "seal a memfd");
  use = new_use;
  ns = std::move(new_ns);
  owner = new_owner;
  return absl::OkStatus();
}

bool Slab::ProvenUnshared() const {
  if (::fcntl(counted_.get(), F_SETLEASE, F_WRLCK) != 0) return false;
  ::fcntl(counted_.get(), F_SETLEASE, F_UNLCK);
  return true;
}

void Slab::Zero() {
  // A window's client may have written anywhere; a sealed slab was written up to `next` only, but Shrink moves that
  // back.
  std::memset(data_, 0, size_);
  next = 0;
  id_ = NextSlabId();  // another life: whoever speaks of the old one means memory that he let go
}

}  // namespace larder::arena
