#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "larder/base/units.h"
#include "larder/cli_docs/pages.h"

namespace larder::cli_docs {
namespace {

using Json = nlohmann::ordered_json;

// As base::ParseDuration and base::ParseBytes read them.
constexpr char kDuration[] = R"(^(0|[0-9]+ns|[0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))$)";
constexpr char kSize[] = R"(^([0-9]+B?|[0-9]+(\.[0-9]+)?([kKMGT]B?|[KMGT]iB?))$)";

Json TypeOf(const config::Setting& setting) {
  switch (setting.type) {
    case config::Type::kText:
      if (!setting.choices.empty()) return {{"enum", setting.choices}};
      return {{"type", "string"}};
    case config::Type::kTime:
      return {{"type", "string"}, {"pattern", kDuration}};
    case config::Type::kBytes:  // a plain number is bytes
      return {{"type", {"string", "integer"}}, {"pattern", kSize}};
    case config::Type::kFlag:
      return {{"type", "boolean"}};
    case config::Type::kInteger:
      return {{"type", "integer"}};
    case config::Type::kReal:
      return {{"type", "number"}};
    case config::Type::kChoice:
      return {{"enum", setting.choices}};
    case config::Type::kList:
      break;
  }
  return {{"type", "array"}, {"items", {{"type", "string"}, {"minLength", 1}}}};
}

// The number of bytes of a bound, or the number that it is.
Json NumberOf(const config::Setting& setting, const std::string& bound) {
  if (setting.type == config::Type::kBytes) return base::ParseBytes(bound).value_or(0);
  return Json::parse(bound);
}

void AddBounds(const config::Setting& setting, Json& schema) {
  const bool is_number = setting.type == config::Type::kInteger || setting.type == config::Type::kReal;
  if (is_number || setting.type == config::Type::kBytes) {
    if (!setting.min.empty()) schema["minimum"] = NumberOf(setting, setting.min);
    if (!setting.max.empty()) schema["maximum"] = NumberOf(setting, setting.max);
  }
  // Of what is written with a unit JSON Schema knows no bounds. For whoever can compare such.
  if (setting.type == config::Type::kTime || setting.type == config::Type::kBytes) {
    if (!setting.min.empty()) schema["x-min"] = setting.min;
    if (!setting.max.empty()) schema["x-max"] = setting.max;
  }
  if (setting.type == config::Type::kBytes && setting.min.empty()) schema["minimum"] = 0;
  if (!setting.required || schema.contains("enum")) return;
  schema[setting.type == config::Type::kList ? "minItems" : "minLength"] = 1;
}

Json SettingSchema(const config::Setting& setting) {
  Json schema = TypeOf(setting);
  AddBounds(setting, schema);
  schema["description"] = setting.bounds.empty() || !setting.choices.empty()
                              ? setting.help
                              : fmt::format("{} ({})", setting.help, setting.bounds);
  return schema;
}

// Makes of `node`, if it is new, the schema of an object that has only what is named.
Json& Object(Json& node) {
  if (node.is_null()) node = {{"type", "object"}, {"additionalProperties", false}};
  return node;
}

// The schema of what a step of a path leads to from `object`: "<name>" stands for any name, "name[<n>]" for each item.
Json& Next(Json& object, std::string_view step) {
  constexpr std::string_view kItem = "[<n>]";
  if (step.starts_with('<')) {
    Json& any = object["additionalProperties"];
    if (any.is_boolean()) any = nullptr;  // until now no name was allowed
    return any;
  }
  if (!step.ends_with(kItem)) return object["properties"][std::string(step)];
  Json& list = object["properties"][std::string(step.substr(0, step.size() - kItem.size()))];
  list["type"] = "array";
  return list["items"];
}

// Adds a setting by its path.
void Add(Json& node, std::string_view path, const config::Setting& setting) {
  const std::string_view step = path.substr(0, path.find('.'));
  Json& next = Next(Object(node), step);
  if (step.size() == path.size()) {
    next = SettingSchema(setting);
  } else {
    Add(next, path.substr(step.size() + 1), setting);
  }
}

}  // namespace

std::string ConfigSchemas(std::span<const cli_dev::Declarations> services) {
  Json schemas = Json::object();
  for (const cli_dev::Declarations& service : services) {
    Json& schema = Object(schemas[std::string(service.service)]);
    for (const config::Setting& setting : service.settings) Add(schema, setting.path, setting);
  }
  return schemas.dump(2) + "\n";
}

}  // namespace larder::cli_docs
