#include "background/maintenance.h"

#include <pthread.h>

#include <chrono>
#include <utility>

namespace larder::cache_agent {

Maintenance::Maintenance(std::function<void()> round, base::Duration pause) : round_(std::move(round)), pause_(pause) {}

Maintenance::~Maintenance() { Stop(); }

void Maintenance::Start() {
  thread_ = std::thread([this] { Run(); });
  ::pthread_setname_np(thread_.native_handle(), "larder-maint");
}

void Maintenance::Stop() {
  if (!thread_.joinable()) return;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    stop_.NotifyAll();
  }
  thread_.join();
}

void Maintenance::Run() {
  while (true) {
    round_();
    const auto next = std::chrono::steady_clock::now() + pause_;
    base::MutexLock lock(mutex_);
    while (!stopping_ && stop_.WaitUntil(mutex_, next)) {
    }
    if (stopping_) return;
  }
}

}  // namespace larder::cache_agent
