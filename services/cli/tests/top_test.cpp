#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/rates.h"
#include "core/top_json.h"
#include "core/top_screen.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "larder/object/ids.h"

namespace larder::cli {
namespace {

namespace pb = larder::agent::v1;
using base::kMiB;
using testing::Each;
using testing::Field;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

void Count(pb::StatusResponse& status, const std::string& op, uint64_t ok, uint64_t failed = 0) {
  pb::RequestCount& count = *status.mutable_counters()->add_requests();
  count.set_op(op);
  count.set_ok(ok);
  count.set_failed(failed);
}

// ---- rates

TEST(Rates, ArePerSecondOfTheAgentsClock) {
  pb::StatusResponse before, after;
  before.set_uptime_ms(10'000);
  before.mutable_counters()->set_hits(100);
  before.mutable_counters()->set_misses(10);
  Count(before, "seal", 5);
  Count(before, "get", 100, 10);
  after.set_uptime_ms(12'000);
  after.mutable_counters()->set_hits(106);
  after.mutable_counters()->set_misses(12);
  after.mutable_counters()->set_bytes_out(4'000);
  after.mutable_counters()->set_evicted_room(3);
  after.mutable_counters()->set_evicted_quota(1);
  Count(after, "seal", 25);
  Count(after, "get", 106, 12);
  const std::optional<Rates> rates = RatesBetween(before, after);
  ASSERT_TRUE(rates);
  EXPECT_EQ(rates->seconds, 2);
  EXPECT_EQ(rates->gets, 4);
  EXPECT_EQ(rates->hit_ratio, 0.75);
  EXPECT_EQ(rates->puts, 10);
  EXPECT_EQ(rates->bytes_out, 2'000);
  EXPECT_EQ(rates->evicted, 2);
  EXPECT_EQ(rates->failed, 1);
}

TEST(Rates, HaveNoHitRatioWithoutAGet) {
  pb::StatusResponse before, after;
  after.set_uptime_ms(1);
  EXPECT_EQ(RatesBetween(before, after)->hit_ratio, std::nullopt);
}

TEST(Rates, AreNoneAcrossARestart) {
  pb::StatusResponse before, after;
  before.set_uptime_ms(5'000);
  after.set_uptime_ms(200);
  EXPECT_EQ(RatesBetween(before, after), std::nullopt);
  EXPECT_EQ(RatesBetween(before, before), std::nullopt) << "no time has passed";
}

TEST(Rates, NeverFallBelowZero) {
  pb::StatusResponse before, after;
  before.mutable_counters()->set_bytes_in(10);
  after.set_uptime_ms(1'000);
  EXPECT_EQ(RatesBetween(before, after)->bytes_in, 0);
}

// ---- the screen

pb::ArenaUse Arena(uint64_t limit, uint64_t allocated, uint64_t live, uint64_t quarantined) {
  pb::ArenaUse arena;
  arena.set_limit_bytes(limit);
  arena.set_allocated_bytes(allocated);
  arena.set_live_bytes(live);
  arena.set_quarantined_bytes(quarantined);
  arena.set_free_bytes(limit - live - quarantined);
  return arena;
}

TEST(ArenaBar, ShowsWhatFillsIt) {
  EXPECT_EQ(ArenaBar(Arena(100, 40, 50, 20), 12), "[====-~~...]");
  EXPECT_EQ(ArenaBar(Arena(100, 0, 0, 0), 12), "[..........]");
  EXPECT_EQ(ArenaBar(Arena(100, 100, 100, 0), 12), "[==========]");
}

TEST(ArenaBar, ShowsALittleAsSomething) { EXPECT_EQ(ArenaBar(Arena(1'000'000, 1, 1, 1), 12), "[=~........]"); }

TEST(ArenaBar, KeepsItsWidth) {
  for (const size_t width : {3u, 4u, 40u}) EXPECT_THAT(ArenaBar(Arena(3, 1, 2, 1), width), SizeIs(width));
  EXPECT_EQ(ArenaBar(Arena(1, 1, 1, 0), 0), "[=]") << "the narrowest there is";
  EXPECT_EQ(ArenaBar(pb::ArenaUse(), 5), "[...]") << "an agent that says nothing";
}

class Screen : public testing::Test {
 protected:
  Screen() {
    pb::StatusResponse& status = view_.status;
    status.set_node("node-7");
    status.set_version("0.1.0");
    status.set_namespace_("team-a");
    status.set_store("memory");
    status.set_uptime_ms(90'000);
    *status.mutable_arena() = Arena(64 * kMiB, 16 * kMiB, 20 * kMiB, 4 * kMiB);
    for (const auto& [ns, bytes] : {std::pair("team-a", 1u), std::pair("team-b", 3u), std::pair("team-c", 2u)}) {
      pb::NamespaceUse& use = *status.add_namespaces();
      use.set_namespace_(ns);
      use.set_bytes(bytes * kMiB);
    }
    status.mutable_namespaces(0)->set_limit_bytes(4 * kMiB);
    view_.rates = Rates{.seconds = 1, .gets = 1234, .hit_ratio = 0.9876, .puts = 0.5, .bytes_out = 3 * kMiB};
    view_.time = "12:34:56";
  }
  std::string Text(const ScreenSize& size = {.columns = 100, .rows = 30}) {
    std::string text;
    for (const ScreenLine& line : TopScreen(view_, size)) text += line.text + "\n";
    return text;
  }
  TopView view_;
};

TEST_F(Screen, ShowsWhatPeopleAskFor) {
  const std::string text = Text();
  for (const char* part : {"node-7", "0.1.0", "90 s", "team-a", "12:34:56", "37 % of 64 MiB", "held 16 MiB",
                           "slack 4 MiB", "quarantine 4 MiB", "free 40 MiB", "1234/s", "98.8 %", "0.5/s", "3 MiB/s"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("disk"))) << "the agent has none";
  EXPECT_THAT(text, Not(HasSubstr("last answer")));
}

TEST_F(Screen, PutsTheLargestNamespaceFirstWithItsQuota) {
  const std::string text = Text();
  EXPECT_LT(text.find("\nteam-b"), text.find("\nteam-c"));
  EXPECT_LT(text.find("\nteam-c"), text.find("\nteam-a"));
  EXPECT_THAT(text, HasSubstr("25 % of 4 MiB"));
}

TEST_F(Screen, SaysWhatWentWrongRightBelowTheTitle) {
  view_.trouble = "no agent answers\nat x";
  view_.age_seconds = 7;
  view_.rates.reset();
  const std::vector<ScreenLine> lines = TopScreen(view_, {.columns = 100, .rows = 30});
  EXPECT_EQ(lines[1].text, "last answer 7 s ago: no agent answers\\nat x");
  EXPECT_EQ(lines[1].style, ScreenLine::Style::kAlarm);
  EXPECT_THAT(Text(), HasSubstr("gets     -"));
}

TEST_F(Screen, ShowsTheDiskWhereThereIsOne) {
  pb::DiskUse& disk = *view_.status.mutable_disk();
  disk.set_data_dir("/data");
  disk.set_used_bytes(kMiB);
  disk.set_limit_bytes(8 * kMiB);
  disk.set_free_bytes(10 * kMiB);
  disk.set_total_bytes(20 * kMiB);
  EXPECT_THAT(Text(), HasSubstr("objects 1 MiB of 8 MiB, 10 MiB free of 20 MiB at /data"));
}

TEST_F(Screen, FitsEveryWindow) {
  view_.trouble = std::string(300, 'x');
  view_.keys = true;
  for (size_t columns = 1; columns <= 130; columns += 3) {
    for (size_t rows = 1; rows <= 30; ++rows) {
      const std::vector<ScreenLine> lines = TopScreen(view_, {.columns = columns, .rows = rows});
      ASSERT_LE(lines.size(), rows);
      ASSERT_THAT(lines[0].text, SizeIs(testing::Le(columns)));
      ASSERT_THAT(lines, Each(Field(&ScreenLine::text, SizeIs(testing::Le(columns))))) << columns << "x" << rows;
    }
  }
}

TEST_F(Screen, LeavesNamespacesOutFirstAndSaysHowMany) {
  const size_t all = TopScreen(view_, {.columns = 100, .rows = 30}).size();
  EXPECT_THAT(Text({.columns = 100, .rows = all}), Not(HasSubstr("more")));
  const std::string less = Text({.columns = 100, .rows = all - 1});
  EXPECT_THAT(less, HasSubstr("\nteam-b"));
  EXPECT_THAT(less, HasSubstr("\n2 more\n"));
  EXPECT_THAT(Text({.columns = 100, .rows = 5}), Not(HasSubstr("team-b")));
}

TEST_F(Screen, CutsBetweenCharacters) {
  view_.status.set_node("n\xC3\xB6\xC3\xB6\xC3\xB6\xC3\xB6\xC3\xB6");
  for (size_t columns = 1; columns < 9; ++columns) {
    const std::string line = TopScreen(view_, {.columns = columns, .rows = 1})[0].text;
    EXPECT_TRUE(object::IsUtf8(line)) << columns;
  }
}

TEST_F(Screen, NamesMayNotSteerTheTerminal) {
  view_.status.set_node("n\033[2J");
  EXPECT_THAT(Text(), HasSubstr("n\\x1b[2J"));
}

// ---- for programs

TEST_F(Screen, JsonHasTheSameInBytesAndSeconds) {
  const nlohmann::ordered_json json = TopJson(view_.status, view_.rates);
  EXPECT_EQ(json["node"], "node-7");
  EXPECT_EQ(json["uptime_seconds"], 90.0);
  EXPECT_EQ(json["arena"]["quarantined"], 4 * kMiB);
  EXPECT_EQ(json["per_second"]["gets"], 1234.0);
  EXPECT_EQ(json["namespaces"][0]["limit"], 4 * kMiB);
  EXPECT_TRUE(json["namespaces"][1]["limit"].is_null());
  EXPECT_TRUE(json["disk"].is_null());
  EXPECT_TRUE(TopJson(view_.status, std::nullopt)["per_second"].is_null());
}

TEST(ErrorJson, IsTheContracts) {
  const auto json = ErrorJson(base::Error(absl::StatusCode::kUnavailable, "NO_AGENT", "nobody"));
  EXPECT_EQ(json.dump(), R"({"error":{"code":"UNAVAILABLE","reason":"NO_AGENT","message":"nobody","retryable":true}})");
}

}  // namespace
}  // namespace larder::cli
