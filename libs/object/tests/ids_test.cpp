#include "larder/object/ids.h"

#include <gtest/gtest.h>

#include "larder/base/testing/status_matchers.h"
#include "larder/object/object.h"
#include "larder/object/registry.h"

namespace larder::object {
namespace {

using base::IsOk;
using base::StatusIs;

TEST(CheckKey, AcceptsUtf8SegmentsUpToTheirLimits) {
  for (const std::string& key :
       {std::string("a"), std::string("a/b/c"), std::string("sha256:00ff"), std::string("häuser/日本"),
        std::string(255, 'x') + "/" + std::string(255, 'y'), std::string("..."), std::string(" ")}) {
    EXPECT_THAT(CheckKey(key), IsOk()) << key;
  }
}

TEST(CheckKey, RefusesWhatCouldEscapeOrConfuse) {
  const std::string long_key = [] {
    std::string key;
    for (int i = 0; i < 513; ++i) key += "a/";
    return key + "a";
  }();
  for (const std::string& key :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"), std::string("."), std::string("a/.."),
        std::string("../a"), std::string("a/./b"), std::string("a\0b", 3), std::string("\xff"), std::string("\xc0\xaf"),
        std::string("\xed\xa0\x80"), std::string("\xf4\x90\x80\x80"), std::string("\xe2\x82"), std::string(256, 'x'),
        long_key}) {
    EXPECT_THAT(CheckKey(key), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_KEY")) << key;
  }
}

TEST(CheckNamespace, IsADnsLabel) {
  EXPECT_THAT(CheckNamespace("team-a1"), IsOk());
  EXPECT_THAT(CheckNamespace(std::string(63, 'a')), IsOk());
  for (const std::string& ns : {std::string(), std::string(64, 'a'), std::string("-a"), std::string("a-"),
                                std::string("A"), std::string("a.b"), std::string("a/b"), std::string("a\0", 2)}) {
    EXPECT_THAT(CheckNamespace(ns), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_NAMESPACE")) << ns;
  }
}

TEST(PieceLength, GrowsFromOneToFourMiBWithTheObject) {
  EXPECT_EQ(PieceLengthFor(0), 1u << 20);
  EXPECT_EQ(PieceLengthFor(64ull << 20), 1u << 20);
  EXPECT_EQ(PieceLengthFor(130ull << 20), 2u << 20);
  EXPECT_EQ(PieceLengthFor(256ull << 20), 4u << 20);
  EXPECT_EQ(PieceLengthFor(1ull << 40), 4u << 20);
}

}  // namespace
}  // namespace larder::object
