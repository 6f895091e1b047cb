#pragma once
#include <sys/types.h>

namespace larder::transport::uds {

// Tells a forked child from the process that made it, at the cost of a load: getpid(2) is a system call. Thread-safe.
class ForkMark {
 public:
  ForkMark();
  ForkMark(const ForkMark&) = delete;
  ForkMark& operator=(const ForkMark&) = delete;
  ~ForkMark();
  bool InChild() const { return mark_ != nullptr ? *mark_ == 0 : PidChanged(); }

 private:
  bool PidChanged() const;
  const pid_t pid_;
  volatile unsigned char* mark_ = nullptr;  // a page that the kernel empties in a child; null where it cannot
};

}  // namespace larder::transport::uds
