#include "larder/base/worker.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace larder::base {

Worker::Worker(std::string name, std::function<Duration()> round, Duration shortest)
    : name_(std::move(name)), round_(std::move(round)), shortest_(shortest) {}

Worker::~Worker() { Stop(); }

void Worker::Start() {
  thread_ = std::thread([this] { Run(); });
  ::pthread_setname_np(thread_.native_handle(), name_.c_str());
}

void Worker::Stop() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void Worker::Wake() {
  MutexLock lock(mutex_);
  if (!std::exchange(woken_, true)) changed_.NotifyAll();
}

void Worker::Run() {
  while (true) {
    const Duration pause = round_();
    const auto ended = std::chrono::steady_clock::now();
    MutexLock lock(mutex_);
    while (!stopping_ && changed_.WaitUntil(mutex_, ended + (woken_ ? std::min(pause, shortest_) : pause))) {
    }
    woken_ = false;
    if (stopping_) return;
  }
}

}  // namespace larder::base
