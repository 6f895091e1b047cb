#include "larder/base/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace larder::base {
namespace {

TEST(RandomBytes, AreAsManyAsAskedAndOthersEachTime) {
  EXPECT_EQ(RandomBytes(0), "");
  EXPECT_NE(RandomBytes(32), RandomBytes(32));
  // More than the kernel gives uninterrupted; each byte value is missing with a chance below 2^-350.
  const std::string many = RandomBytes(64 * 1024);
  EXPECT_EQ(many.size(), 64u * 1024);
  EXPECT_THAT(std::set<char>(many.begin(), many.end()), testing::SizeIs(256));
}

}  // namespace
}  // namespace larder::base
