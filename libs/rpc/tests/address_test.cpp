#include "larder/rpc/address.h"

#include <gtest/gtest.h>

#include "larder/base/testing/status_matchers.h"

namespace larder::rpc {
namespace {

TEST(HostPort, IsReadAndWrittenTheSame) {
  for (const char* text : {"0.0.0.0:7410", "tracker-0.tracker:1", "[::1]:65535", "localhost:0"}) {
    LARDER_ASSERT_OK_AND_ASSIGN(const HostPort address, ParseHostPort(text));
    EXPECT_EQ(FormatHostPort(address), text);
  }
  LARDER_ASSERT_OK_AND_ASSIGN(const HostPort address, ParseHostPort("[::1]:80"));
  EXPECT_EQ(address, (HostPort{"::1", 80}));
}

TEST(HostPort, RefusesAnythingElse) {
  for (const char* text : {"", "7410", ":7410", "host", "host:", "host:x", "host:65536", "host:-1", "host:1 ", "::1:80",
                           "[]:80", "[::1]", "http://host:80", "a b:80"}) {
    EXPECT_THAT(ParseHostPort(text), base::StatusIs(absl::StatusCode::kInvalidArgument, "BAD_ADDRESS")) << text;
  }
}

}  // namespace
}  // namespace larder::rpc
