#pragma once
#include <optional>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/base/unique_fd.h"

namespace larder::arena {

// Tells when files without a name have ended: no descriptor of them (O_PATH ones and those on their way in a message
// among them) and no mapping is left. Source: inotify(7), IN_DELETE_SELF.
// Thread-safe.
class InodeWatch {
 public:
  InodeWatch();
  // A number for `fd`'s file, which Ended gives once. None where the kernel has no watch, or no instance, left; or if
  // somebody took the right to read it away, so it comes before others have it.
  std::optional<int> Add(int fd);
  // Those that have ended since the last call.
  std::vector<int> Ended();

 private:
  base::UniqueFd inotify_;
};

}  // namespace larder::arena
