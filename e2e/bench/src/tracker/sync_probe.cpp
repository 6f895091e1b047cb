#include "src/tracker/sync_probe.h"

#include <fcntl.h>
#include <unistd.h>

#include "src/must.h"

namespace larder::bench {

SyncProbe::SyncProbe(const std::string& path, size_t size)
    : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)), bytes_(size, 'x') {
  if (fd_ < 0) Die("cannot make " + path);
}

SyncProbe::~SyncProbe() { ::close(fd_); }

void SyncProbe::Append() {
  const ssize_t written = ::write(fd_, bytes_.data(), bytes_.size());
  if (written != static_cast<ssize_t>(bytes_.size()) || ::fdatasync(fd_) != 0) Die("the disk does not take a write");
}

}  // namespace larder::bench
