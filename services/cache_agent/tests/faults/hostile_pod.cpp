#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "tests/faults/hostile.h"

namespace larder::cache_agent {
namespace {

// What container runtimes give by default.
constexpr std::array kContainers = {CAP_CHOWN,  CAP_DAC_OVERRIDE,     CAP_FOWNER,  CAP_FSETID,     CAP_KILL,
                                    CAP_SETGID, CAP_SETUID,           CAP_SETPCAP, CAP_NET_RAW,    CAP_SYS_CHROOT,
                                    CAP_MKNOD,  CAP_NET_BIND_SERVICE, CAP_SETFCAP, CAP_AUDIT_WRITE};

void DropCapabilities() {
  std::array<__user_cap_data_struct, 2> wanted{};
  for (const int capability : kContainers) {
    auto& word = wanted.at(static_cast<size_t>(CAP_TO_INDEX(capability)));
    word.permitted |= CAP_TO_MASK(static_cast<unsigned>(capability));
    word.effective |= CAP_TO_MASK(static_cast<unsigned>(capability));
  }
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    const auto& word = wanted.at(static_cast<size_t>(CAP_TO_INDEX(capability)));
    if ((word.permitted & CAP_TO_MASK(static_cast<unsigned>(capability))) == 0) {
      ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  if (::syscall(SYS_capset, &header, wanted.data()) != 0) std::abort();
}

[[noreturn]] void WaitForAll() {
  while (::wait(nullptr) > 0) {
  }
  ::_exit(0);
}

}  // namespace

bool EnterPod() {
  if (::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC) != 0) return false;
  if (::fork() > 0) WaitForAll();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("proc", "/proc", "proc", 0, nullptr) != 0) {
    std::abort();
  }
  DropCapabilities();
  // The pod lives as long as its first process, which is not the one that may come to its end.
  if (::fork() > 0) WaitForAll();
  return true;
}

}  // namespace larder::cache_agent
