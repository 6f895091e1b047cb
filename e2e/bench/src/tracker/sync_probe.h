#pragma once
#include <string>

namespace larder::bench {

// What the disk does: appends to a file of its own and waits for fdatasync.
class SyncProbe {
 public:
  SyncProbe(const std::string& path, size_t size);
  SyncProbe(const SyncProbe&) = delete;
  SyncProbe& operator=(const SyncProbe&) = delete;
  ~SyncProbe();
  void Append();

 private:
  int fd_;
  std::string bytes_;
};

}  // namespace larder::bench
