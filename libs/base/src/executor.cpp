#include "larder/base/executor.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace larder::base {

ThreadPool::ThreadPool(std::string name, int threads) {
  name.resize(std::min<size_t>(name.size(), 15));  // the kernel's limit, past which the name is refused
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this, name] {
      pthread_setname_np(pthread_self(), name.c_str());
      Work();
    });
  }
}

ThreadPool::~ThreadPool() { Stop(); }

bool ThreadPool::Submit(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return false;
    queue_.push_back(std::move(task));
  }
  wake_.NotifyOne();
  return true;
}

void ThreadPool::Stop() {
  std::vector<std::thread> joining;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    joining.swap(threads_);
  }
  wake_.NotifyAll();
  for (std::thread& thread : joining) thread.join();
}

void ThreadPool::Work() {
  for (;;) {
    std::function<void()> task;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) wake_.Wait(mutex_);
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

}  // namespace larder::base
