#pragma once
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace larder::rpc {

// gRPC calls a reactor on a thread of its choice, after what its maker wrote before handing it over. Debian's gRPC is
// not instrumented, so the thread sanitizer does not see that order, and a reactor of ours tells it: HappensBefore when
// all is written that the callbacks read without a lock, HappensAfter first in each callback that reads it. Of one and
// the same reactor. Nothing in other builds. Thread-safe.
#ifdef __SANITIZE_THREAD__
inline void HappensBefore(void* reactor) { __tsan_release(reactor); }
inline void HappensAfter(void* reactor) { __tsan_acquire(reactor); }
#else
inline void HappensBefore(void*) {}
inline void HappensAfter(void*) {}
#endif

}  // namespace larder::rpc
