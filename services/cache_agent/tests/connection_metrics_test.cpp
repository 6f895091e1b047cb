#include "core/connection_metrics.h"

#include <gmock/gmock.h>

namespace larder::cache_agent {
namespace {

using testing::HasSubstr;

TEST(ConnectionMetrics, CountConnectionsAndRefusalsByReason) {
  observe::Registry registry;
  ConnectionMetrics metrics(registry);
  metrics.ConnectionOpened();
  metrics.ConnectionOpened();
  metrics.ConnectionClosed();
  for (const char* reason :
       {"hello_timeout", "bad_record", "denied", "too_many", "slow", "no_session", "of its own", "neither"}) {
    metrics.Denied(reason);
  }
  EXPECT_EQ(metrics.connections(), 1u);
  EXPECT_EQ(metrics.denied(), 8u);
  const std::string text = registry.Render();
  EXPECT_THAT(text, HasSubstr("larder_agent_connections 1\n"));
  for (const char* reason : {"hello_timeout", "bad_record", "denied", "too_many", "slow"}) {
    EXPECT_THAT(text, HasSubstr(std::string("larder_agent_denied_total{reason=\"") + reason + "\"} 1\n"));
  }
  EXPECT_THAT(text, HasSubstr("larder_agent_denied_total{reason=\"other\"} 2\n"));
}

}  // namespace
}  // namespace larder::cache_agent
