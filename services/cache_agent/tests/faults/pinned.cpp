#include "tests/faults/pinned.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace larder::cache_agent {

PinnedPages::PinnedPages(base::MutableByteSpan pages)
    : at_(reinterpret_cast<uint64_t>(pages.data())), size_(static_cast<uint32_t>(pages.size())) {
  io_uring_params params{};
  ring_.Reset(static_cast<int>(::syscall(SYS_io_uring_setup, 1, &params)));
  if (!ring_) throw std::system_error(errno, std::generic_category(), "io_uring_setup");
  queue_ = Memory(ring_.get(), IORING_OFF_SQ_RING, params.sq_off.array + sizeof(uint32_t), PROT_READ | PROT_WRITE);
  entry_ = Memory(ring_.get(), IORING_OFF_SQES, sizeof(io_uring_sqe), PROT_READ | PROT_WRITE);
  tail_ = reinterpret_cast<uint32_t*>(queue_.bytes().data() + params.sq_off.tail);
  const iovec part{pages.data(), pages.size()};
  if (::syscall(SYS_io_uring_register, ring_.get(), IORING_REGISTER_BUFFERS, &part, 1) != 0) {
    throw std::system_error(errno, std::generic_category(), "pin pages");
  }
}

void PinnedPages::Submit(uint8_t operation, int fd) {
  static_assert(kReadFixed == IORING_OP_READ_FIXED && kWriteFixed == IORING_OP_WRITE_FIXED);
  auto* entry = reinterpret_cast<io_uring_sqe*>(entry_.bytes().data());
  *entry = {.opcode = operation, .fd = fd, .addr = at_, .len = size_};
  __atomic_store_n(tail_, *tail_ + 1, __ATOMIC_RELEASE);
  ::syscall(SYS_io_uring_enter, ring_.get(), 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
}

}  // namespace larder::cache_agent
