#include "larder/base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace larder::base {

std::string RandomBytes(size_t size) {
  std::string bytes(size, '\0');
  for (size_t filled = 0; filled < size;) {
    const ssize_t got = ::getrandom(bytes.data() + filled, size - filled, 0);
    if (got > 0) filled += static_cast<size_t>(got);
    if (got < 0 && errno != EINTR) std::abort();
  }
  return bytes;
}

}  // namespace larder::base
