#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

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
  const json schema = SchemaOf({{.path = "arena", .type = Type::kBytes, .bounds = "at least 16MiB", .help = "Memory."},
                                {.path = "level", .type = Type::kChoice, .bounds = "a, b", .choices = {"a", "b"}},
                                {.path = "on", .type = Type::kFlag},
                                {.path = "hosts", .type = Type::kList}});
  const json& properties = schema.at("properties");
  EXPECT_EQ(properties.at("arena"),
            (json{{"type", {"string", "integer"}}, {"description", "Memory. (at least 16MiB)"}}));
  EXPECT_EQ(properties.at("level").at("enum"), json({"a", "b"}));
  EXPECT_EQ(properties.at("on").at("type"), "boolean");
  EXPECT_EQ(properties.at("hosts").at("items").at("type"), "string");
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
