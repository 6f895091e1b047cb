#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "larder/base/units.h"
#include "larder/cli_docs/pages.h"

namespace larder::cli_docs {
namespace {

using config::Setting;
using config::Type;
using nlohmann::json;

json SchemaOf(std::vector<Setting> settings) {
  const std::vector<cli_dev::Declarations> services = {{.service = "one", .settings = std::move(settings)}};
  return json::parse(ConfigSchemas(services)).at("one");
}

TEST(ConfigSchemas, HasEachSettingWithItsTypeHelpAndBounds) {
  const json schema = SchemaOf({{.path = "at", .bounds = "hh:mm", .help = "When."},
                                {.path = "level", .type = Type::kChoice, .bounds = "a, b", .choices = {"a", "b"}},
                                {.path = "on", .type = Type::kFlag},
                                {.path = "hosts", .type = Type::kList}});
  const json& properties = schema.at("properties");
  EXPECT_EQ(properties.at("at"), (json{{"type", "string"}, {"description", "When. (hh:mm)"}}));
  EXPECT_EQ(properties.at("level").at("enum"), json({"a", "b"}));
  EXPECT_EQ(properties.at("on").at("type"), "boolean");
  EXPECT_EQ(properties.at("hosts").at("items").at("type"), "string");
}

// Whether the pattern of a setting of that type takes the whole text.
bool Takes(Type type, const std::string& text) {
  const json schema = SchemaOf({{.path = "x", .type = type}}).at("properties").at("x");
  return std::regex_search(text, std::regex(schema.at("pattern").get<std::string>()));
}

TEST(ConfigSchemas, TakesDurationsAndSizesAsTheServicesDo) {
  for (const char* text : {"0", "30s", "1.5h", "250ms", "7d", "10us", "9ns", "5m", "1.5ns", "30", "s", "1 s", "1h30m",
                           "-1s", "1.s", ".5s", "30S", ""}) {
    EXPECT_EQ(Takes(Type::kTime, text), base::ParseDuration(text).ok()) << text;
  }
  for (const char* text : {"512", "4MiB", "25M",  "1.5GiB", "1k",  "2K",    "3Ti", "7B", "4MB", "2kB",
                           "1.5", "1.5B", "1kiB", "1iB",    "MiB", "4 MiB", "-1",  "1.", "1e6", ""}) {
    EXPECT_EQ(Takes(Type::kBytes, text), base::ParseBytes(text).ok()) << text;
  }
}

TEST(ConfigSchemas, HasBoundsOfNumbersAndSaysThoseOfWhatHasAUnit) {
  const json schema = SchemaOf({{.path = "threads", .type = Type::kInteger, .min = "1", .max = "256"},
                                {.path = "share", .type = Type::kReal, .min = "0.5"},
                                {.path = "ttl", .type = Type::kTime, .min = "1s", .max = "1h"},
                                {.path = "arena", .type = Type::kBytes, .min = "16MiB"},
                                {.path = "rate", .type = Type::kBytes}})
                          .at("properties");
  EXPECT_EQ(schema.at("threads").at("minimum"), 1);
  EXPECT_EQ(schema.at("threads").at("maximum"), 256);
  EXPECT_EQ(schema.at("share").at("minimum"), 0.5);
  EXPECT_FALSE(schema.at("share").contains("maximum"));
  EXPECT_EQ(schema.at("ttl").at("x-min"), "1s");
  EXPECT_EQ(schema.at("ttl").at("x-max"), "1h");
  EXPECT_EQ(schema.at("arena").at("minimum"), 16 << 20);
  EXPECT_EQ(schema.at("arena").at("x-min"), "16MiB");
  EXPECT_EQ(schema.at("rate").at("minimum"), 0);
}

TEST(ConfigSchemas, RefusesWhatIsEmptyAndMustNotBe) {
  const json schema = SchemaOf({{.path = "dir", .required = true},
                                {.path = "hosts", .type = Type::kList, .required = true},
                                {.path = "store", .choices = {"file", "memory"}, .required = true},
                                {.path = "zone"}})
                          .at("properties");
  EXPECT_EQ(schema.at("dir").at("minLength"), 1);
  EXPECT_EQ(schema.at("hosts").at("minItems"), 1);
  EXPECT_EQ(schema.at("store").at("enum"), json({"file", "memory"}));
  EXPECT_FALSE(schema.at("zone").contains("minLength"));
}

TEST(ConfigSchemas, RefusesWhatIsNoSettingOnEachLevel) {
  const json schema = SchemaOf({{.path = "node.name"}, {.path = "node.zone"}});
  EXPECT_EQ(schema.at("additionalProperties"), false);
  const json& node = schema.at("properties").at("node");
  EXPECT_EQ(node.at("additionalProperties"), false);
  EXPECT_EQ(node.at("properties").size(), 2u);
}

TEST(ConfigSchemas, HasAListOfWhatTheFileRepeats) {
  const json grants = SchemaOf({{.path = "grants[<n>].namespace"}, {.path = "grants[<n>].verbs", .type = Type::kList}})
                          .at("properties")
                          .at("grants");
  EXPECT_EQ(grants.at("type"), "array");
  EXPECT_EQ(grants.at("items").at("properties").size(), 2u);
  EXPECT_EQ(grants.at("items").at("additionalProperties"), false);
}

TEST(ConfigSchemas, TakesAnyNameWhereTheFileAddsEntries) {
  const json quotas = SchemaOf({{.path = "quotas.<namespace>.disk"}, {.path = "quotas.<namespace>.memory"}})
                          .at("properties")
                          .at("quotas");
  EXPECT_FALSE(quotas.contains("properties"));
  EXPECT_EQ(quotas.at("additionalProperties").at("properties").size(), 2u);
  EXPECT_EQ(quotas.at("additionalProperties").at("additionalProperties"), false);
}

}  // namespace
}  // namespace larder::cli_docs
