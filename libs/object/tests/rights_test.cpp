#include "larder/object/rights.h"

#include <gtest/gtest.h>

#include <string>

namespace larder::object {
namespace {

TEST(Rights, EachVerbHasANameOfItsOwn) {
  for (const Verb verb : kVerbs) EXPECT_EQ(VerbOfName(VerbName(verb)), verb) << VerbName(verb);
  for (const char* other : {"", "Get", "gets", "all", "*"}) EXPECT_FALSE(VerbOfName(other)) << other;
}

TEST(Rights, HoldsWhatWasPutInAndNothingElse) {
  for (const Verb verb : kVerbs) {
    const Rights one = {verb};
    for (const Verb other : kVerbs) EXPECT_EQ(one.Has(other), verb == other) << VerbName(verb) << VerbName(other);
    EXPECT_FALSE(one.empty());
    EXPECT_TRUE(Rights::All().Has(verb));
  }
  EXPECT_TRUE(Rights().empty());
}

TEST(Rights, AreASet) {
  const Rights reading = {Verb::kGet, Verb::kList};
  const Rights writing = {Verb::kPut, Verb::kGet};
  EXPECT_EQ(reading | writing, (Rights{Verb::kGet, Verb::kList, Verb::kPut}));
  EXPECT_EQ(reading & writing, Rights{Verb::kGet});
  EXPECT_TRUE((reading & Rights{Verb::kPin}).empty());
  EXPECT_TRUE(reading.Contains({Verb::kList}));
  EXPECT_TRUE(reading.Contains({}));
  EXPECT_FALSE(reading.Contains(writing)) << "though they share one";
  EXPECT_TRUE(Rights::All().Contains(reading));
  Rights grown;
  grown.Add(Verb::kPin);
  grown.Add(Verb::kPin);
  EXPECT_EQ(grown, Rights{Verb::kPin});
}

}  // namespace
}  // namespace larder::object
