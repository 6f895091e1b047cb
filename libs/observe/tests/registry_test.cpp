#include "larder/observe/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace larder::observe {

enum class Op { kPut, kGet };
std::string_view LabelText(Op op) { return op == Op::kPut ? "put" : "get"; }

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr CounterDecl<Op, absl::StatusCode> kRequests = {
    .name = "larder_test_requests_total", .help = "Requests.", .labels = {"op", "code"}};
constexpr CounterDecl<> kMisses = {.name = "larder_test_misses_total", .help = "Misses."};
constexpr GaugeDecl<NamespaceLabel> kBytes = {.name = "larder_test_bytes", .help = "Bytes.", .labels = {"namespace"}};
constexpr GaugeDecl<> kAge = {.name = "larder_test_age_seconds", .help = "Age."};
constexpr std::array<double, 2> kBounds = {1, 10};
constexpr HistogramDecl<Word> kSeconds = {
    .name = "larder_test_seconds", .help = "Time.", .labels = {"stage"}, .buckets = kBounds};

static_assert(Label<Op> && Label<Word> && Label<NodeLabel> && Label<absl::StatusCode>);
static_assert(!Label<std::string> && !Label<std::string_view> && !Label<const char*> && !Label<int>);

TEST(Registry, RendersACounterPerSetOfLabels) {
  Registry registry;
  const auto requests = registry.Add(kRequests);
  requests.With(Op::kPut, absl::StatusCode::kOk).Increment();
  requests.With(Op::kPut, absl::StatusCode::kOk).Increment(2);
  requests.With(Op::kGet, absl::StatusCode::kNotFound).Increment();
  const std::string text = registry.Render();
  EXPECT_THAT(text,
              HasSubstr("# HELP larder_test_requests_total Requests.\n# TYPE larder_test_requests_total counter\n"));
  EXPECT_THAT(text, HasSubstr("larder_test_requests_total{op=\"put\",code=\"OK\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("larder_test_requests_total{op=\"get\",code=\"NOT_FOUND\"} 1\n"));
}

TEST(Registry, RendersAMetricWithoutLabelsFromTheStart) {
  Registry registry;
  Counter& misses = registry.Add(kMisses);
  EXPECT_THAT(registry.Render(), HasSubstr("larder_test_misses_total 0\n"));
  misses.Increment();
  EXPECT_THAT(registry.Render(), HasSubstr("larder_test_misses_total 1\n"));
}

TEST(Registry, RendersAHistogramsBucketsCumulated) {
  Registry registry;
  Histogram& upload = registry.Add(kSeconds).With("upload");
  for (const double seconds : {0.5, 1.0, 5.0, 100.0}) upload.Observe(seconds);
  const std::string text = registry.Render();
  EXPECT_THAT(text, HasSubstr("larder_test_seconds_bucket{stage=\"upload\",le=\"1\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("larder_test_seconds_bucket{stage=\"upload\",le=\"10\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("larder_test_seconds_bucket{stage=\"upload\",le=\"+Inf\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("larder_test_seconds_count{stage=\"upload\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("larder_test_seconds_sum{stage=\"upload\"} 106.5\n"));
}

TEST(Registry, SharesAMetricThatTwoComponentsDeclareAlike) {
  Registry registry;
  EXPECT_EQ(&registry.Add(kMisses), &registry.Add(kMisses));
}

TEST(RegistryDeathTest, DiesOfTwoDeclarationsUnderOneName) {
  Registry registry;
  registry.Add(kMisses);
  const GaugeDecl<> other = {.name = kMisses.name, .help = kMisses.help};
  EXPECT_DEATH(registry.Add(other), "larder_test_misses_total is declared in two ways");
}

TEST(Registry, ReadsAWatchedGaugeAtEachScrapeUntilTheWatchEnds) {
  Registry registry;
  double age = 1.5;
  {
    const Registry::Watch watch = registry.AddWatch(kAge, [&] { return age; });
    EXPECT_THAT(registry.Render(), HasSubstr("larder_test_age_seconds 1.5\n"));
    age = 3;
    EXPECT_THAT(registry.Render(), HasSubstr("larder_test_age_seconds 3\n"));
  }
  EXPECT_THAT(registry.Render(), Not(HasSubstr("larder_test_age_seconds 3")));
}

TEST(Registry, DropsAWatchedSeriesThatIsNoLongerGiven) {
  Registry registry;
  std::vector<std::string> namespaces = {"a", "b"};
  const Registry::Watch watch = registry.AddWatch(kBytes, [&](const Sample<NamespaceLabel>& sample) {
    for (const std::string& name : namespaces) sample(7, NamespaceLabel(name));
  });
  EXPECT_THAT(registry.Render(), HasSubstr("larder_test_bytes{namespace=\"b\"} 7\n"));
  namespaces.pop_back();
  EXPECT_THAT(registry.Render(), HasSubstr("larder_test_bytes{namespace=\"a\"} 7\n"));
  EXPECT_THAT(registry.Render(), Not(HasSubstr("namespace=\"b\"")));
}

TEST(Registry, AddsUpWhatSeveralGiveForOneSeries) {
  Registry registry;
  registry.Add(kAge).Set(1);
  const Registry::Watch one = registry.AddWatch(kAge, [] { return 10.0; });
  const Registry::Watch two = registry.AddWatch(kAge, [] { return 100.0; });
  EXPECT_THAT(registry.Render(), HasSubstr("larder_test_age_seconds 111\n"));
}

TEST(Registry, CountsSeriesPastTheMostUnderOther) {
  Registry registry;
  const auto bytes = registry.Add(kBytes);
  for (size_t i = 0; i < kMaxSeries; ++i) bytes.With(NamespaceLabel(std::to_string(i))).Set(1);
  Gauge& over = bytes.With(NamespaceLabel("over"));
  EXPECT_EQ(&over, &bytes.With(NamespaceLabel("more")));
  EXPECT_NE(&over, &bytes.With(NamespaceLabel("0")));
  over.Set(5);
  EXPECT_THAT(registry.Render(), HasSubstr("larder_test_bytes{namespace=\"other\"} 5\n"));
}

TEST(Registry, EscapesWhatALabelHolds) {
  Registry registry;
  registry.Add(kBytes).With(NamespaceLabel("a\"b\\c\nd")).Set(1);
  EXPECT_THAT(registry.Render(), HasSubstr("{namespace=\"a\\\"b\\\\c\\nd\"}"));
}

TEST(Registry, ListsItsDeclarationsByName) {
  Registry registry;
  registry.Add(kSeconds);
  registry.Add(kMisses);
  EXPECT_THAT(registry.Declarations(),
              ElementsAre(Declaration{MetricType::kCounter, "larder_test_misses_total", "Misses.", {}, {}},
                          Declaration{MetricType::kHistogram, "larder_test_seconds", "Time.", {"stage"}, {1, 10}}));
}

TEST(Registry, LosesNoIncrementOfManyThreadsWhileScraped) {
  Registry registry;
  const auto requests = registry.Add(kRequests);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < 1000; ++n) requests.With(Op::kGet, absl::StatusCode::kOk).Increment();
      });
    }
    for (int n = 0; n < 20; ++n) registry.Render();
  }
  EXPECT_EQ(requests.With(Op::kGet, absl::StatusCode::kOk).value(), 4000u);
}

}  // namespace
}  // namespace larder::observe
