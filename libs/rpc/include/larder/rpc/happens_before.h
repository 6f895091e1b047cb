#pragma once
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace larder::rpc {

// gRPC calls a reactor on a thread of its choice, and orders these calls. Debian's gRPC is not instrumented, so the
// thread sanitizer does not see that order, and is told of it here. Nothing in other builds. Thread-safe.
#ifdef __SANITIZE_THREAD__
// What was done before HappensBefore(what) is seen after HappensAfter(what), in whichever thread.
inline void HappensBefore(void* what) { __tsan_release(what); }
inline void HappensAfter(void* what) { __tsan_acquire(what); }
#else
inline void HappensBefore(void*) {}
inline void HappensAfter(void*) {}
#endif

// Of a reactor, by who makes it, once it is made: all its callbacks come later.
inline void ReactorMade(void* reactor) { HappensBefore(reactor); }
// First in each callback but OnDone, to its end.
class InCallback {
 public:
  explicit InCallback(void* reactor) : ended_(static_cast<char*>(reactor) + 1) { HappensAfter(reactor); }
  ~InCallback() { HappensBefore(ended_); }
  InCallback(const InCallback&) = delete;
  InCallback& operator=(const InCallback&) = delete;

 private:
  void* const ended_;
};
// First in OnDone: all others have ended.
inline void InLastCallback(void* reactor) {
  HappensAfter(reactor);
  HappensAfter(static_cast<char*>(reactor) + 1);
}

}  // namespace larder::rpc
