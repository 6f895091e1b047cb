#include "larder/base/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace larder::base {
namespace {

const std::vector<std::string> kKnown = {"data_dir", "listen.grpc", "listen.http", "s3"};

TEST(NearestName, FindsTheNameWithTheFewestEdits) {
  EXPECT_EQ(NearestName("datadir", kKnown), "data_dir");
  EXPECT_EQ(NearestName("listen.htp", kKnown), "listen.http");
  EXPECT_EQ(NearestName("listen.grcp", kKnown), "listen.grpc");
}

TEST(NearestName, ForgivesTwoEditsOfAShortNameAndAThirdOfALongOne) {
  EXPECT_EQ(NearestName("s", kKnown), "s3");
  EXPECT_EQ(NearestName("lisen.gpc", kKnown), "listen.grpc");
  EXPECT_EQ(NearestName("lsn.gc", kKnown), "");
}

TEST(NearestName, IsEmptyWhenNothingIsNear) {
  EXPECT_EQ(NearestName("replication", kKnown), "");
  EXPECT_EQ(NearestName("data_dir", {}), "");
}

}  // namespace
}  // namespace larder::base
