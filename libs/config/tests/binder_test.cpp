#include "larder/config/binder.h"

#include <gmock/gmock.h>

#include <functional>
#include <limits>
#include <string>

#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "tests/sample.h"

namespace larder::config {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Setting Find(const std::vector<Setting>& settings, const std::string& path) {
  for (const Setting& setting : settings) {
    if (setting.path == path) return setting;
  }
  ADD_FAILURE() << "no setting " << path;
  return {};
}

TEST(Binder, ListsEverythingThatWasDeclaredInItsOrder) {
  const std::vector<Setting> settings = Loader<Sample>(SampleNaming()).Settings();
  std::vector<std::string> paths;
  for (const Setting& setting : settings) paths.push_back(setting.path);
  EXPECT_THAT(paths, ElementsAre("data_dir", "node.name", "arena", "lease.grace", "verify", "listen_port", "offset",
                                 "high_water", "identity", "tracker", "quotas.<namespace>.bytes",
                                 "quotas.<namespace>.durability", "grants[<n>].serviceAccount", "grants[<n>].on",
                                 "limits.least", "limits.most"));
  const Setting arena = Find(settings, "arena");
  EXPECT_EQ(arena.type, Type::kBytes);
  EXPECT_EQ(arena.default_value.text, "1GiB");
  EXPECT_EQ(arena.bounds, "64MiB to 1TiB");
  EXPECT_EQ(arena.help, "Memory for objects.");
  EXPECT_TRUE(arena.reloadable);
  EXPECT_TRUE(Find(settings, "data_dir").required);
  const Setting identity = Find(settings, "identity");
  EXPECT_EQ(identity.default_value.text, "csi");
  EXPECT_THAT(identity.choices, ElementsAre("open", "cgroup", "csi"));
  EXPECT_EQ(Find(settings, "lease.grace").bounds, "at most 1h");
  EXPECT_EQ(Find(settings, "listen_port").bounds, "0 to 65535");
  EXPECT_EQ(Find(settings, "offset").bounds, "at least -5");
}

TEST(Binder, NamesFlagsAndVariablesAfterThePath) {
  EXPECT_EQ(FlagName("node.data_dir"), "--node-data-dir");
  EXPECT_EQ(ServiceEnvPrefix("cache_agent"), "LARDER_CACHE_AGENT_");
  EXPECT_EQ(EnvName(ServiceEnvPrefix("cache_agent"), "node.name"), "LARDER_CACHE_AGENT_NODE_NAME");
}

struct Mistake {
  const char* message;
  std::function<void(Binder&)> declare;
};

TEST(Binder, AMistakeInADeclarationFailsEveryLoadNamingIt) {
  std::string text;
  uint64_t bytes = 5;
  base::Duration time{5};
  double real = std::numeric_limits<double>::quiet_NaN();
  int negative = -1;
  Sample::Identity identity = Sample::Identity::kCsi;
  std::map<std::string, int> each;
  const Mistake mistakes[] = {
      {"setting a: its flag and variable are those of a",
       [&](Binder& b) {
         b.Text("a", &text, {});
         b.Text("a", &text, {});
       }},
      {"setting a_b: its flag and variable are those of a.b",
       [&](Binder& b) {
         b.Text("a.b", &text, {});
         b.Text("a_b", &text, {});
       }},
      {"setting A: a path is words", [&](Binder& b) { b.Text("A", &text, {}); }},
      {"setting a..b: a path is words", [&](Binder& b) { b.Text("a..b", &text, {}); }},
      {"setting : a path is words", [&](Binder& b) { b.Text("", &text, {}); }},
      {"setting s.x-y: a path is words",
       [&](Binder& b) { b.Section("s", [&](Binder& b) { b.Text("x-y", &text, {}); }); }},
      {"setting E: a path is words",
       [&](Binder& b) { b.Each("E", &each, [](Binder& b, int& i) { b.Integer("i", &i, {}); }, {}); }},
      {"setting e.<name>.I: a path is words",
       [&](Binder& b) { b.Each("e", &each, [](Binder& b, int& i) { b.Integer("I", &i, {}); }, {}); }},
      {"setting config: its name is reserved", [&](Binder& b) { b.Text("config", &text, {}); }},
      {"setting port: its name is reserved", [&](Binder& b) { b.Text("port", &text, {}); }},
      {"setting a: its default is out of its bounds", [&](Binder& b) { b.Bytes("a", &bytes, {.min = 6}); }},
      {"setting a: its default is out of its bounds",
       [&](Binder& b) { b.Time("a", &time, {.min = base::Duration(6)}); }},
      {"setting a: its default is out of its bounds", [&](Binder& b) { b.Real("a", &real, {}); }},
      {"setting a: its default is out of its bounds", [&](Binder& b) { b.Integer("a", &negative, {}); }},
      {"setting a: its default is none of its choices",
       [&](Binder& b) {
         b.Choice("a", &identity, {{"open", Sample::Identity::kOpen}}, {});
       }},
  };
  for (const auto& [message, declare] : mistakes) {
    Binder binder;
    declare(binder);
    const auto resolved = Resolve(binder, SampleNaming(), {});
    EXPECT_THAT(resolved, StatusIs(absl::StatusCode::kInternal, "BAD_DECLARATION"));
    EXPECT_THAT(base::Message(resolved.status()), HasSubstr(message));
  }
}

TEST(Binder, IntegersAreBoundByTheirTypeAndBySixtyFourBits) {
  int8_t narrow = 0;
  uint64_t wide = 0;
  int64_t widest = 0;
  Binder binder;
  binder.Integer("narrow", &narrow, {.min = -1000, .max = 1000});
  binder.Integer("wide", &wide, {});
  binder.Integer("widest", &widest, {.min = std::numeric_limits<int64_t>::min()});
  EXPECT_EQ(binder.settings()[0].bounds, "-128 to 127");
  EXPECT_EQ(binder.settings()[1].bounds, "at least 0");
  EXPECT_EQ(binder.settings()[2].bounds, "");
  EXPECT_THAT(
      Resolve(binder, SampleNaming(),
              {.flags = {{"narrow", "-128"}, {"wide", "9223372036854775807"}, {"widest", "-9223372036854775808"}}}),
      IsOk());
  EXPECT_EQ(narrow, -128);
  EXPECT_EQ(wide, 9223372036854775807u);
  EXPECT_EQ(widest, std::numeric_limits<int64_t>::min());
}

TEST(Binder, EachMayHoldAnEach) {
  using Inner = std::map<std::string, int>;
  std::map<std::string, Inner> outer = {{"a", {{"x", 1}}}};
  const auto declare = [](Binder& b, Inner& inner) {
    b.Each("in", &inner, [](Binder& b, int& number) { b.Integer("n", &number, {}); }, {.key = "inner"});
  };
  Binder binder;
  binder.Each("out", &outer, declare, {.key = "outer"});
  ASSERT_EQ(binder.settings().size(), 1u);
  EXPECT_EQ(binder.settings()[0].path, "out.<outer>.in.<inner>.n");
  ASSERT_THAT(Resolve(binder, SampleNaming(), {.flags = {{"out.a.in.x.n", "7"}}}), IsOk());
  EXPECT_EQ(outer.at("a").at("x"), 7);
}

}  // namespace
}  // namespace larder::config
