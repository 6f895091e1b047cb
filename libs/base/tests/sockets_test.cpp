#include "larder/base/sockets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "larder/base/testing/status_matchers.h"

namespace larder::base {
namespace {

void AwaitWritable(int fd) {
  pollfd polled{.fd = fd, .events = POLLOUT};
  ASSERT_EQ(::poll(&polled, 1, -1), 1);
}

TEST(Sockets, ADialThatBeganEndsConnected) {
  LARDER_ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenOn("127.0.0.1:0"));
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string address, LocalAddress(listener.get()));
  LARDER_ASSERT_OK_AND_ASSIGN(const UniqueFd dialled, BeginDial(address));
  AwaitWritable(dialled.get());
  EXPECT_THAT(DialOutcome(dialled.get(), address), IsOk());
  EXPECT_TRUE(Accept(listener.get()).valid());
}

TEST(Sockets, ADialThatIsRefusedSaysByWhom) {
  LARDER_ASSERT_OK_AND_ASSIGN(UniqueFd listener, ListenOn("127.0.0.1:0"));
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string address, LocalAddress(listener.get()));
  listener.Reset();
  const auto dialled = BeginDial(address);
  absl::Status outcome = dialled.status();
  if (dialled.ok()) {  // the kernel may know at once
    AwaitWritable(dialled->get());
    outcome = DialOutcome(dialled->get(), address);
  }
  EXPECT_THAT(outcome, StatusIs(absl::StatusCode::kUnavailable, "CANNOT_DIAL"));
  EXPECT_THAT(Message(outcome), testing::HasSubstr(address));
}

TEST(Sockets, ADialThatBeginsLooksUpNoNames) {
  EXPECT_THAT(BeginDial("localhost:1"), StatusIs(absl::StatusCode::kUnavailable, "CANNOT_DIAL"));
  EXPECT_THAT(BeginDial("127.0.0.1"), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_ADDRESS"));
}

}  // namespace
}  // namespace larder::base
