#include "src/pipeline.h"

#include <gtest/gtest.h>

#include <string>

using larder::resp::Pipeline;

TEST(Pipeline, RepliesKeepTheOrderOfRequests) {
  Pipeline pipeline;
  const uint64_t first = pipeline.Start(false);
  pipeline.Add("b");
  const uint64_t third = pipeline.Start(false);
  std::string out;
  pipeline.Finish(third, "c");
  pipeline.TakeReady(out);
  EXPECT_EQ(out, "");
  pipeline.Finish(first, "a");
  pipeline.TakeReady(out);
  EXPECT_EQ(out, "abc");
  EXPECT_TRUE(pipeline.empty());
}

TEST(Pipeline, ReadsAndWritesAreNeverInFlightTogether) {
  Pipeline pipeline;
  const uint64_t write = pipeline.Start(true);
  EXPECT_TRUE(pipeline.MayStart(true));
  EXPECT_FALSE(pipeline.MayStart(false));
  pipeline.Finish(write, "");
  EXPECT_TRUE(pipeline.MayStart(false));
}
