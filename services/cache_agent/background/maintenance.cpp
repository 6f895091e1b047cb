#include "background/maintenance.h"

#include <pthread.h>

#include <chrono>
#include <utility>

namespace larder::cache_agent {

Maintenance::Maintenance(std::function<base::Duration()> round) : round_(std::move(round)) {}

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
    changed_.NotifyAll();
  }
  thread_.join();
}

void Maintenance::Wake() {
  base::MutexLock lock(mutex_);
  woken_ = true;
  changed_.NotifyAll();
}

void Maintenance::Run() {
  while (true) {
    const base::Duration pause = round_();
    const auto next = std::chrono::steady_clock::now() + pause;
    base::MutexLock lock(mutex_);
    while (!stopping_ && !woken_ && changed_.WaitUntil(mutex_, next)) {
    }
    woken_ = false;
    if (stopping_) return;
  }
}

}  // namespace larder::cache_agent
