#include "src/fork_mark.h"

#include <sys/mman.h>
#include <unistd.h>

namespace larder::transport::uds {
namespace {

constexpr size_t kSize = 4096;

}  // namespace

ForkMark::ForkMark() : pid_(::getpid()) {
  void* page = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  if (::madvise(page, kSize, MADV_WIPEONFORK) != 0) {
    ::munmap(page, kSize);
    return;
  }
  mark_ = static_cast<volatile unsigned char*>(page);
  *mark_ = 1;
}

ForkMark::~ForkMark() {
  if (mark_ != nullptr) ::munmap(const_cast<unsigned char*>(mark_), kSize);
}

bool ForkMark::PidChanged() const { return ::getpid() != pid_; }

}  // namespace larder::transport::uds
