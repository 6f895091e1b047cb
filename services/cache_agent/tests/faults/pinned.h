#pragma once
#include "larder/base/bytes.h"
#include "larder/base/unique_fd.h"
#include "tests/faults/raw_client.h"

namespace larder::cache_agent {

// Pages that the kernel writes and reads for us, whatever became of their mapping: buffers registered with io_uring.
class PinnedPages {
 public:
  // Throws std::system_error where the kernel does not let us.
  explicit PinnedPages(base::MutableByteSpan pages);
  // From the file's beginning to the pages, and from them to the file; synchronous.
  void FillFrom(int fd) { Submit(kReadFixed, fd); }
  void WriteTo(int fd) { Submit(kWriteFixed, fd); }

 private:
  static constexpr uint8_t kReadFixed = 4;   // IORING_OP_READ_FIXED
  static constexpr uint8_t kWriteFixed = 5;  // IORING_OP_WRITE_FIXED
  void Submit(uint8_t operation, int fd);

  base::UniqueFd ring_;
  Memory queue_, entry_;
  uint32_t* tail_ = nullptr;
  uint64_t at_ = 0;
  uint32_t size_ = 0;
};

}  // namespace larder::cache_agent
