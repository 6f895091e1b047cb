#include "src/slab.h"

#include <fcntl.h>
#include <sys/mman.h>

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

absl::StatusOr<base::UniqueFd> Reopen(int fd, int flags) {
  base::UniqueFd opened(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), flags | O_CLOEXEC));
  if (!opened) return base::ErrnoError(errno, "reopen a memfd (is /proc mounted?)");
  return opened;
}

}  // namespace

uint32_t SlabIds::Take() {
  base::MutexLock lock(mutex_);
  do {
    latest_ = latest_ == last_ ? 1 : latest_ + 1;
  } while (!taken_.insert(latest_).second);
  return latest_;
}

void SlabIds::GiveBack(uint32_t id) {
  base::MutexLock lock(mutex_);
  taken_.erase(id);
}

absl::StatusOr<std::shared_ptr<Slab>> Slab::Make(uint64_t size, std::shared_ptr<SlabIds> ids,
                                                 std::shared_ptr<InodeWatch> watch) {
  std::shared_ptr<Slab> slab(new Slab(size, std::move(ids), std::move(watch)));
  slab->memfd_.Reset(::memfd_create("larder", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!slab->memfd_) return base::ErrnoError(errno, "memfd_create");
  if (::ftruncate(slab->memfd_.get(), static_cast<off_t>(size)) != 0) return base::ErrnoError(errno, "size a memfd");
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, slab->memfd_.get(), 0);
  if (at == MAP_FAILED) return base::ErrnoError(errno, "map a memfd");
  slab->data_ = static_cast<std::byte*>(at);
  // Where the node allows it (transparent_hugepage/shmem_enabled): who maps it takes 512 times fewer faults.
  ::madvise(at, size, MADV_HUGEPAGE);
  if (::madvise(at, size, MADV_POPULATE_WRITE) != 0) {
    if (errno != EINVAL) return base::ErrnoError(errno, "touch the arena's memory");
    std::memset(at, 0, size);  // before Linux 5.14
  }
  LARDER_ASSIGN_OR_RETURN(slab->counted_, Reopen(slab->memfd_.get(), O_RDWR));
  return slab;
}

Slab::~Slab() {
  ids_->GiveBack(id_);
  if (data_ == nullptr) return;
  ::munmap(data_, size_);
  // An O_PATH descriptor would keep the pages. A sealed slab's cannot be given back so.
  if (use == SlabUse::kWindow) {
    ::fallocate(memfd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size_));
  }
}

absl::StatusOr<base::UniqueFd> Slab::OpenReadOnly() const {
  std::call_once(sharing_, [this] {
    watched_ = watch_->Add(memfd_.get());
    shared_ = true;
  });
  return Reopen(memfd_.get(), O_RDONLY);
}
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

Slab::Proof Slab::TryProof() const {
  if (::fcntl(counted_.get(), F_SETLEASE, F_WRLCK) != 0) return errno == EACCES ? Proof::kNone : Proof::kShared;
  ::fcntl(counted_.get(), F_SETLEASE, F_UNLCK);
  return Proof::kUnshared;
}

void Slab::Zero() {
  // A window's client may have written anywhere; a sealed slab was written up to `next` only, but Shrink moves that
  // back.
  std::memset(data_, 0, size_);
  next = 0;
  // Another life: whoever speaks of the old one means memory that he let go.
  ids_->GiveBack(std::exchange(id_, ids_->Take()));
}

}  // namespace larder::arena
