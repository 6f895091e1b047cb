#pragma once
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace larder::rpc {

// gRPC calls a reactor on a thread of its choice, after what its maker wrote before handing it over, and a callback
// after what the one before it wrote. Debian's gRPC is not instrumented, so the thread sanitizer does not see that
// order, and is told: HappensBefore by who has written all that a callback reads without a lock, HappensAfter first in
// that callback. `what` names the order: the reactor for what its maker wrote, a member for what one callback leaves to
// the next. Nothing in other builds. Thread-safe.
#ifdef __SANITIZE_THREAD__
inline void HappensBefore(void* what) { __tsan_release(what); }
inline void HappensAfter(void* what) { __tsan_acquire(what); }
#else
inline void HappensBefore(void*) {}
inline void HappensAfter(void*) {}
#endif

}  // namespace larder::rpc
