// Two calls of one service that race on purpose: proves that the thread sanitizer, under scripts/lib/tsan.supp, still
// reports what goes wrong in a handler, in a stream's callbacks and in a client's; and calls that do not race, which it
// is silent about. Built for that sanitizer only.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "larder/base/clock.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/observe/logger.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/happens_before.h"
#include "larder/rpc/outgoing_calls.h"
#include "larder/rpc/server.h"
#include "tests/echo_service.h"

namespace larder::rpc {
namespace {

int unguarded = 0;

// In a function of its own, so that the report names it.
[[gnu::noinline]] void PlantedRace() { ++unguarded; }

// Of two calls the first writes and stays; the second writes after it, while nothing has ordered the two: what they
// wait with is relaxed.
class Rendezvous {
 public:
  void Race() {
    const int mine = arrived_.fetch_add(1, std::memory_order_relaxed);
    while (arrived_.load(std::memory_order_relaxed) < 2) std::this_thread::yield();
    while (written_.load(std::memory_order_relaxed) < mine) std::this_thread::yield();
    PlantedRace();
    written_.fetch_add(1, std::memory_order_relaxed);
    while (written_.load(std::memory_order_relaxed) < 2) std::this_thread::yield();
  }

 private:
  std::atomic<int> arrived_ = 0, written_ = 0;
};

// Races in the handler of Say, and where a message of Talk was read.
class RacingService final : public testing::Echo::CallbackService {
 public:
  Reactor* Say(Context* context, const testing::SayRequest*, testing::SayResponse*) override {
    met_.Race();
    return Unary(context, [] { return absl::OkStatus(); });
  }
  grpc::ServerBidiReactor<testing::SayRequest, testing::SayResponse>* Talk(Context*) override {
    class Stream final : public grpc::ServerBidiReactor<testing::SayRequest, testing::SayResponse> {
     public:
      explicit Stream(Rendezvous& met) : met_(met) {
        ReactorMade(this);
        StartRead(&request_);
      }
      void OnReadDone(bool) override {
        const InCallback order(this);
        met_.Race();
        Finish(grpc::Status::OK);
      }
      void OnDone() override {
        InLastCallback(this);
        delete this;
      }

     private:
      Rendezvous& met_;
      testing::SayRequest request_;
    };
    return new Stream(met_);
  }

 private:
  Rendezvous met_;
};

// Two of `call` at once.
void Twice(grpc::Service& service, const std::function<void(const std::shared_ptr<grpc::Channel>&)>& call) {
  const base::SystemClock clock;
  const base::TempDir dir;
  observe::Logger log({.output = [](std::string_view) {}}, clock);
  Server server({.unix_path = dir / "s"}, log);
  server.Add(service);
  if (!server.Start().ok()) std::abort();
  std::thread other([&] { call(DialUnix(dir / "s")); });
  call(DialUnix(dir / "s"));
  other.join();
  server.Stop(base::kNoDeadline);
  std::exit(0);
}

// Reads what was written before the server's start, in a call that comes as it starts.
class ConfiguredService final : public testing::Echo::CallbackService {
 public:
  Reactor* Say(Context* context, const testing::SayRequest*, testing::SayResponse*) override {
    const bool configured = configured_ == 1;
    return Unary(context, [configured] { return configured ? absl::OkStatus() : absl::InternalError("unset"); });
  }
  void Configure() { configured_ = 1; }

 private:
  int configured_ = 0;
};

constexpr int kRacesWereReported = 66;  // the sanitizer's exit code
constexpr char kReport[] = "ThreadSanitizer: data race.*PlantedRace";

TEST(PlantedRaceDeathTest, InAHandlerIsReported) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  RacingService service;
  EXPECT_EXIT(Twice(service,
                    [](const auto& channel) {
                      if (!Say(channel, "x").ok()) std::abort();
                    }),
              ::testing::ExitedWithCode(kRacesWereReported), kReport);
}

TEST(PlantedRaceDeathTest, WhereAMessageWasReadIsReported) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  RacingService service;
  EXPECT_EXIT(Twice(service,
                    [](const auto& channel) {
                      grpc::ClientContext context;
                      const auto talk = testing::Echo::NewStub(channel)->Talk(&context);
                      if (!talk->Write({}) || !talk->Finish().ok()) std::abort();
                    }),
              ::testing::ExitedWithCode(kRacesWereReported), kReport);
}

TEST(PlantedRaceDeathTest, WhereAClientIsAnsweredIsReported) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EchoService service;
  Rendezvous met;
  EXPECT_EXIT(Twice(service,
                    [&met](const auto& channel) {
                      const auto stub = testing::Echo::NewStub(channel);
                      OutgoingCalls calls;
                      std::promise<void> answered;
                      calls.Ask<testing::SayRequest, testing::SayResponse>(
                          {}, std::chrono::minutes(1),
                          [&](const auto&) {
                            met.Race();
                            answered.set_value();
                          },
                          [&stub](auto* context, auto* sent, auto* received, auto then) {
                            stub->async()->Say(context, sent, received, std::move(then));
                          });
                      answered.get_future().wait();
                    }),
              ::testing::ExitedWithCode(kRacesWereReported), kReport);
}

TEST(OrderTest, ACallSeesWhatWasDoneBeforeTheStartOfItsServer) {
  const base::SystemClock clock;
  const base::TempDir dir;
  observe::Logger log({.output = [](std::string_view) {}}, clock);
  EchoService other;
  Server before({.unix_path = dir / "s"}, log);  // its threads run the calls of later servers, too
  before.Add(other);
  ASSERT_TRUE(before.Start().ok());
  for (int i = 0; i < 20; ++i) {
    const auto path = dir / std::to_string(i);
    std::jthread client([&] {
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
      EXPECT_TRUE(Say(DialUnix(path), testing::SayRequest(), context).ok());
    });
    ConfiguredService service;
    Server server({.unix_path = path}, log);
    server.Add(service);
    service.Configure();
    ASSERT_TRUE(server.Start().ok());
    client.join();
    server.Stop(base::kNoDeadline);
  }
}

}  // namespace
}  // namespace larder::rpc
