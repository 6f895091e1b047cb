// Two calls of one service that race on purpose: proves that the thread sanitizer, under scripts/lib/tsan.supp, still
// reports what goes wrong in a handler. Built for that sanitizer only.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "larder/base/clock.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/observe/logger.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/server.h"
#include "tests/echo_service.h"

namespace larder::rpc {
namespace {

int unguarded = 0;

// In a function of its own, so that the report names it.
[[gnu::noinline]] void PlantedRace() { ++unguarded; }

// The first call writes and stays; the second writes after it, while nothing has ordered the two: what they wait with
// is relaxed.
Reactor* Handle(Context* context, std::atomic<int>& arrived, std::atomic<int>& written) {
  const int mine = arrived.fetch_add(1, std::memory_order_relaxed);
  while (arrived.load(std::memory_order_relaxed) < 2) std::this_thread::yield();
  while (written.load(std::memory_order_relaxed) < mine) std::this_thread::yield();
  PlantedRace();
  written.fetch_add(1, std::memory_order_relaxed);
  while (written.load(std::memory_order_relaxed) < 2) std::this_thread::yield();
  return Unary(context, [] { return absl::OkStatus(); });
}

void RaceInAHandler() {
  const base::SystemClock clock;
  const base::TempDir dir;
  observe::Logger log({.output = [](std::string_view) {}}, clock);
  std::atomic<int> arrived = 0, written = 0;
  EchoService echo;
  echo.OnSay([&](Context* context, const testing::SayRequest*, testing::SayResponse*) {
    return Handle(context, arrived, written);
  });
  Server server({.unix_path = dir / "s"}, log);
  server.Add(echo);
  if (!server.Start().ok()) std::abort();
  const auto call = [&] {
    if (!Say(DialUnix(dir / "s"), "x").ok()) std::abort();
  };
  std::thread other(call);
  call();
  other.join();
  server.Stop(base::kNoDeadline);
}

TEST(PlantedRaceDeathTest, IsReported) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr int kRacesWereReported = 66;  // the sanitizer's exit code
  EXPECT_EXIT(
      {
        RaceInAHandler();
        std::exit(0);
      },
      ::testing::ExitedWithCode(kRacesWereReported), "ThreadSanitizer: data race.*PlantedRace");
}

}  // namespace
}  // namespace larder::rpc
