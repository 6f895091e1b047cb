#include "core/readiness.h"

#include <gtest/gtest.h>

namespace larder::cache_agent {
namespace {

class ReadinessTest : public testing::Test {
 protected:
  Readiness Of(Readiness::Waits waits) {
    return {waits, [this](bool ready) { ready_ = ready; }};
  }
  bool ready_ = false;
};

TEST_F(ReadinessTest, AnAgentAloneIsReadyOnceItServes) {
  Readiness readiness = Of({});
  EXPECT_FALSE(ready_);
  readiness.OnServing();
  EXPECT_TRUE(ready_);
}

TEST_F(ReadinessTest, WaitsForAllThatThereIsInAnyOrder) {
  Readiness first = Of({.cluster = true, .kubelet = true});
  first.OnServing();
  EXPECT_FALSE(ready_);
  first.OnKubelet(true);
  EXPECT_FALSE(ready_);
  first.OnRegistered();
  EXPECT_TRUE(ready_);

  ready_ = false;
  Readiness second = Of({.cluster = true, .kubelet = true});
  second.OnRegistered();
  second.OnKubelet(true);
  EXPECT_FALSE(ready_) << "the sockets are not there yet";
  second.OnServing();
  EXPECT_TRUE(ready_);
}

TEST_F(ReadinessTest, IsNotReadyWhileTheKubeletHasNotTheDriver) {
  Readiness readiness = Of({.kubelet = true});
  readiness.OnServing();
  readiness.OnKubelet(true);
  readiness.OnKubelet(false);
  EXPECT_FALSE(ready_);
  readiness.OnKubelet(true);
  EXPECT_TRUE(ready_);
}

TEST_F(ReadinessTest, NothingMakesItReadyOnceItStops) {
  Readiness readiness = Of({.cluster = true, .kubelet = true});
  readiness.OnServing();
  readiness.OnKubelet(true);
  readiness.OnRegistered();
  readiness.Stop();
  EXPECT_FALSE(ready_);
  readiness.OnKubelet(true);
  readiness.OnRegistered();
  EXPECT_FALSE(ready_);
}

}  // namespace
}  // namespace larder::cache_agent
