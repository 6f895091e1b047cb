#include "background/maintenance.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace larder::cache_agent {
namespace {

// Between two rounds, however often it is woken: those who find no room ask again at once.
constexpr base::Duration kShortestPause = std::chrono::milliseconds(1);

}  // namespace

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
    const auto ended = std::chrono::steady_clock::now();
    base::MutexLock lock(mutex_);
    while (!stopping_ && changed_.WaitUntil(mutex_, ended + std::min(pause, kShortestPause))) {
    }
    while (!stopping_ && !woken_ && changed_.WaitUntil(mutex_, ended + pause)) {
    }
    woken_ = false;
    if (stopping_) return;
  }
}

}  // namespace larder::cache_agent
