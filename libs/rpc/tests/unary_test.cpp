#include "larder/rpc/unary.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/server.h"
#include "tests/echo_service.h"

namespace larder::rpc {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;

// Keeps a task until it is told to run it.
class HeldExecutor final : public base::Executor {
 public:
  bool Submit(std::function<void()> task) override {
    task_.set_value(std::move(task));
    return true;
  }
  void RunOne() { task_.get_future().get()(); }

 private:
  std::promise<std::function<void()>> task_;
};

class UnaryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.Add(echo_);
    ASSERT_THAT(server_.Start(), IsOk());
  }
  void RunOn(base::Executor& executor) {
    echo_.OnSay([&](Context* context, const testing::SayRequest* request, testing::SayResponse* response) {
      return UnaryOn(executor, context, [this, request, response] {
        handled_by_ = std::this_thread::get_id();
        ++handled_;
        return EchoService::Answer(*request, *response);
      });
    });
  }

  base::ManualClock clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, clock_};
  base::TempDir dir_;
  const std::filesystem::path path_ = dir_ / "s";
  EchoService echo_;
  std::atomic<int> handled_ = 0;
  std::atomic<std::thread::id> handled_by_;
  Server server_{{.unix_path = path_}, log_};  // last, so that it stops before what its calls use
};

TEST_F(UnaryTest, EndsTheCallWithTheHandlersResult) {
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string said, Say(DialUnix(path_), "hello"));
  EXPECT_EQ(said, "hello");
  echo_.OnSay([](Context* context, const testing::SayRequest*, testing::SayResponse*) {
    return Unary(context, [] { return base::Error(StatusCode::kNotFound, "NO_OBJECT", "no such object"); });
  });
  EXPECT_THAT(Say(DialUnix(path_), "hello"), StatusIs(StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_F(UnaryTest, EveryCodeSurvivesTheWire) {
  for (int code = 1; code <= static_cast<int>(StatusCode::kUnauthenticated); ++code) {
    testing::SayRequest request;
    request.set_code(code);
    request.set_reason("R" + std::to_string(code));
    grpc::ClientContext context;
    EXPECT_THAT(Say(DialUnix(path_), request, context), StatusIs(static_cast<StatusCode>(code), request.reason()));
  }
}

TEST_F(UnaryTest, RunsAHandlerThatWaitsOnTheExecutorsThread) {
  base::ThreadPool pool("pool", 1);
  std::promise<std::thread::id> id;
  pool.Submit([&] { id.set_value(std::this_thread::get_id()); });
  RunOn(pool);
  EXPECT_THAT(Say(DialUnix(path_), "hello"), IsOk());
  EXPECT_EQ(handled_by_.load(), id.get_future().get());
  server_.Stop(base::kNoDeadline);
}

TEST_F(UnaryTest, RefusesACallWhenTheExecutorIsStopping) {
  base::ThreadPool pool("pool", 1);
  pool.Stop();
  RunOn(pool);
  EXPECT_THAT(Say(DialUnix(path_), "hello"), StatusIs(StatusCode::kUnavailable, "STOPPING"));
  EXPECT_EQ(handled_, 0);
}

TEST_F(UnaryTest, DropsACallWhoseClientLeftBeforeItsTurn) {
  HeldExecutor executor;
  std::promise<Context*> entered;
  echo_.OnSay([&](Context* context, const testing::SayRequest*, testing::SayResponse*) {
    Reactor* reactor = UnaryOn(executor, context, [this] {
      ++handled_;
      return absl::OkStatus();
    });
    entered.set_value(context);
    return reactor;
  });
  grpc::ClientContext client;
  auto said = std::async(std::launch::async, [&] { return Say(DialUnix(path_), {}, client); });
  const Context* context = entered.get_future().get();
  client.TryCancel();
  while (!context->IsCancelled()) std::this_thread::yield();
  executor.RunOne();
  EXPECT_THAT(said.get(), StatusIs(StatusCode::kCancelled));
  server_.Stop(base::kNoDeadline);
  EXPECT_EQ(handled_, 0);
}

// Calls that are answered when the test says so.
class LaterTest : public UnaryTest {
 protected:
  LaterTest() {
    echo_.OnSay([this](Context* context, const testing::SayRequest* request, testing::SayResponse* response) {
      return UnaryLater(context, [=, this](const PendingCall& call) {
        end_.set_value([=, this] {
          call.End([=, this] {
            ++handled_;
            return EchoService::Answer(*request, *response);
          });
        });
      });
    });
  }
  std::function<void()> NextEnd() { return end_.get_future().get(); }
  std::future<absl::StatusOr<std::string>> Saying() {
    return std::async(std::launch::async, [this] {
      testing::SayRequest request;
      request.set_text("hello");
      return Say(DialUnix(path_), request, client_);
    });
  }

  std::promise<std::function<void()>> end_;
  grpc::ClientContext client_;
};

TEST_F(LaterTest, TheFirstEndIsTheAnswer) {
  auto said = Saying();
  const auto end = NextEnd();
  end();
  end();
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string text, said.get());
  EXPECT_EQ(text, "hello");
  EXPECT_EQ(handled_, 1);
}

TEST_F(LaterTest, MayEndBeforeItHasBegun) {
  echo_.OnSay([](Context* context, const testing::SayRequest*, testing::SayResponse*) {
    return UnaryLater(context, [](const PendingCall& call) {
      call.End([] { return base::Error(StatusCode::kNotFound, "NO_OBJECT", "no such object"); });
    });
  });
  EXPECT_THAT(Say(DialUnix(path_), "hello"), StatusIs(StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_F(LaterTest, DoesNotWaitForTheAnswerToAClientThatLeft) {
  auto said = Saying();
  const auto end = NextEnd();
  client_.TryCancel();
  EXPECT_THAT(said.get(), StatusIs(StatusCode::kCancelled));
  server_.Stop(base::kNoDeadline);  // hangs if the call is still open
  end();
  EXPECT_EQ(handled_, 0);
}

TEST_F(LaterTest, DoesNotHoldUpAServerThatMustStop) {
  auto said = Saying();
  const auto end = NextEnd();
  server_.Stop(base::Deadline());
  EXPECT_FALSE(said.get().ok());
  end();
  EXPECT_EQ(handled_, 0);
}

}  // namespace
}  // namespace larder::rpc
