#include "core/location_cache.h"

#include <gtest/gtest.h>

#include "larder/base/testing/manual_clock.h"

namespace larder::cache_agent {
namespace {

ClusterObject Object(const std::string& key, object::Epoch epoch = {7}) {
  return {.info = {.id = {"team-a", key}, .state = object::ObjectState::kSealed, .epoch = epoch},
          .copies = {{.node = "b"}}};
}

class LocationCacheTest : public testing::Test {
 protected:
  bool Has(const std::string& key) const { return cache_.Find({"team-a", key}).has_value(); }
  base::ManualClock clock_;
  LocationCache cache_{clock_, 2};
};

TEST_F(LocationCacheTest, KeepsWhatWasSaidLastForAWhile) {
  cache_.Put(Object("k"));
  cache_.Put(Object("k", {8}));
  EXPECT_EQ(cache_.Find({"team-a", "k"})->info.epoch, object::Epoch{8});
  EXPECT_FALSE(cache_.Find({"team-b", "k"}));
  clock_.Advance(LocationCache::kFresh);
  EXPECT_FALSE(Has("k"));
}

TEST_F(LocationCacheTest, ForgetsTheOldestAndWhatIsNoMore) {
  for (const std::string key : {"1", "2"}) cache_.Put(Object(key));
  cache_.Put(Object("1"));
  cache_.Put(Object("3"));
  EXPECT_TRUE(Has("1") && !Has("2") && Has("3"));
  ClusterObject gone = Object("1");
  gone.info.state = object::ObjectState::kDeleted;
  cache_.Put(gone);
  EXPECT_FALSE(Has("1"));
  gone = Object("3");
  gone.copies.clear();
  cache_.Put(gone);
  EXPECT_FALSE(Has("3"));
  cache_.Put(Object("4"));
  cache_.Forget({"team-a", "4"});
  EXPECT_FALSE(Has("4"));
}

}  // namespace
}  // namespace larder::cache_agent
