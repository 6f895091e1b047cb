#include "larder/rpc/outgoing_calls.h"

#include <grpcpp/support/client_callback.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>

#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/server.h"
#include "tests/echo_service.h"

namespace larder::rpc {
namespace {

using base::IsOk;
using base::StatusIs;

class OutgoingCallsTest : public ::testing::Test {
 protected:
  using Said = absl::StatusOr<testing::SayResponse>;

  void SetUp() override {
    server_.Add(echo_);
    ASSERT_THAT(server_.Start(), IsOk());
  }
  static std::future<Said> Ask(OutgoingCalls& calls, testing::Echo::Stub& stub, const testing::SayRequest& request) {
    auto said = std::make_shared<std::promise<Said>>();
    calls.Ask<testing::SayRequest, testing::SayResponse>(
        request, std::chrono::seconds(30), [said](const Said& answer) { said->set_value(answer); },
        [&stub](auto* context, auto* sent, auto* received, auto then) {
          stub.async()->Say(context, sent, received, std::move(then));
        });
    return said->get_future();
  }
  // A call that nobody answers.
  void Hold() {
    echo_.OnSay([](Context* context, const testing::SayRequest*, testing::SayResponse*) {
      return UnaryLater(context, [](const PendingCall&) {});
    });
  }

  base::ManualClock clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, clock_};
  base::TempDir dir_;
  EchoService echo_;
  Server server_{{.unix_path = dir_ / "s"}, log_};
};

TEST_F(OutgoingCallsTest, IsAnsweredWithTheResponseOrAnErrorWithItsReason) {
  const auto stub = testing::Echo::NewStub(DialUnix(dir_ / "s"));
  OutgoingCalls calls;
  testing::SayRequest request;
  request.set_text("hello");
  EXPECT_EQ(Ask(calls, *stub, request).get()->text(), "hello");
  request.set_code(5);
  request.set_reason("NO_OBJECT");
  EXPECT_THAT(Ask(calls, *stub, request).get(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_F(OutgoingCallsTest, ItsEndEndsWhatIsUnderWay) {
  Hold();
  const auto stub = testing::Echo::NewStub(DialUnix(dir_ / "s"));
  std::future<Said> said;
  {
    OutgoingCalls calls;
    said = Ask(calls, *stub, {});
  }
  ASSERT_EQ(said.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_THAT(said.get(), StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(OutgoingCallsTest, AfterItsEndNobodyElseHasTheChannel) {
  for (int i = 0; i < 300; ++i) {
    std::weak_ptr<grpc::Channel> channel;
    {
      auto dialled = DialUnix(dir_ / "s");
      channel = dialled;
      const auto stub = testing::Echo::NewStub(std::move(dialled));
      OutgoingCalls calls;
      ASSERT_THAT(Ask(calls, *stub, {}).get(), IsOk());
    }
    ASSERT_TRUE(channel.expired()) << i;
  }
}

}  // namespace
}  // namespace larder::rpc
