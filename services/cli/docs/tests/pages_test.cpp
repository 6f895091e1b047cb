#include "larder/cli_docs/pages.h"

#include <gmock/gmock.h>

namespace larder::cli_docs {
namespace {

using observe::MetricType;
using ::testing::HasSubstr;

const std::vector<cli_dev::Declarations> kTwoServices = {
    {.service = "one",
     .binary = "larder-one",
     .summary = "Does one thing.",
     .settings = {{.path = "listen.admin", .type = config::Type::kText}},
     .metrics = {{MetricType::kCounter, "larder_swarm_sent_bytes_total", "Sent.", {"direction", "source"}, {}},
                 {MetricType::kGauge, "larder_build_info", "The version.", {"version"}, {}}}},
    {.service = "two",
     .binary = "larder-two",
     .summary = "Does another.",
     .metrics = {{MetricType::kHistogram, "larder_agent_wait_seconds", "Waits.", {}, {1, 2}},
                 {MetricType::kGauge, "larder_build_info", "The version.", {"version"}, {}}}}};

TEST(MetricsPage, HasATablePerAreaWithTypeLabelsUnitAndService) {
  const std::string page = MetricsPage(kTwoServices);
  EXPECT_THAT(page,
              HasSubstr("\n## swarm\n\n| metric | type | labels | unit | service | what |\n|---|---|---|---|---|---"
                        "|\n| `larder_swarm_sent_bytes_total` | counter | direction source | bytes | one | Sent. "
                        "|\n"));
  EXPECT_THAT(page, HasSubstr("| `larder_agent_wait_seconds` | histogram |  | seconds | two | Waits. |\n"));
  EXPECT_LT(page.find("## agent"), page.find("## build"));
}

TEST(MetricsPage, NamesEveryServiceOfASharedMetricOnce) {
  EXPECT_THAT(MetricsPage(kTwoServices),
              HasSubstr("\n## build\n\n| metric | type | labels | unit | service | what |\n|---|---|---|---|---|---|\n"
                        "| `larder_build_info` | gauge | version | count | one two | The version. |\n"));
}

TEST(ConfigurationPage, HasASectionPerServiceAndOneOfTheCli) {
  const std::vector<config::Setting> cli = {{.path = "progress", .type = config::Type::kFlag}};
  const std::string page = ConfigurationPage(kTwoServices, cli);
  EXPECT_THAT(page, HasSubstr("\n## one\n\nThe program `larder-one`. Does one thing."));
  EXPECT_THAT(page, HasSubstr("| `listen.admin` | `LARDER_ONE_LISTEN_ADMIN` `--listen-admin` | text |"));
  EXPECT_THAT(page, HasSubstr("\n## two\n"));
  EXPECT_THAT(page, HasSubstr("\n## larder\n"));
  EXPECT_THAT(page, HasSubstr("| `progress` | `LARDER_PROGRESS` | true or false |"));
}

}  // namespace
}  // namespace larder::cli_docs
