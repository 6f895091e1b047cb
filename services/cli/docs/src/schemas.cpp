#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "larder/cli_docs/pages.h"

namespace larder::cli_docs {
namespace {

using Json = nlohmann::ordered_json;

Json TypeOf(const config::Setting& setting) {
  switch (setting.type) {
    case config::Type::kText:
    case config::Type::kTime:
      return {{"type", "string"}};
    case config::Type::kBytes:  // a plain number is bytes
      return {{"type", {"string", "integer"}}};
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
  return {{"type", "array"}, {"items", {{"type", "string"}}}};
}

Json SettingSchema(const config::Setting& setting) {
  Json schema = TypeOf(setting);
  schema["description"] = setting.bounds.empty() || setting.type == config::Type::kChoice
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
