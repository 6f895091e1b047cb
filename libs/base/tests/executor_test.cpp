#include "larder/base/executor.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <future>
#include <latch>

namespace larder::base {
namespace {

TEST(ThreadPool, RunsTasksAtOnceOnAllItsThreads) {
  ThreadPool pool("test", 3);
  std::latch together(3);  // opens only if all three run at the same time
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(pool.Submit([&] { together.arrive_and_wait(); }));
  together.wait();
  pool.Stop();
}

TEST(ThreadPool, RunsWhatIsQueuedBeforeItStops) {
  std::atomic<int> ran = 0;
  std::promise<void> open;
  {
    ThreadPool pool("test", 1);
    pool.Submit([opened = open.get_future().share()] { opened.wait(); });
    for (int i = 0; i < 100; ++i) pool.Submit([&] { ++ran; });
    open.set_value();
  }
  EXPECT_EQ(ran, 100);
}

TEST(ThreadPool, RefusesTasksOnceStopped) {
  ThreadPool pool("test", 2);
  pool.Stop();
  pool.Stop();
  EXPECT_FALSE(pool.Submit([] { FAIL() << "ran after Stop"; }));
}

TEST(ThreadPool, CutsANameTheKernelWouldRefuse) {
  ThreadPool pool("a-name-of-more-than-15-bytes", 1);
  std::promise<std::string> name;
  pool.Submit([&] {
    std::array<char, 16> buffer{};
    pthread_getname_np(pthread_self(), buffer.data(), buffer.size());
    name.set_value(buffer.data());
  });
  EXPECT_EQ(name.get_future().get(), "a-name-of-more-");
}

TEST(InlineExecutor, RunsATaskBeforeSubmitReturns) {
  InlineExecutor executor;
  bool ran = false;
  EXPECT_TRUE(executor.Submit([&] { ran = true; }));
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace larder::base
