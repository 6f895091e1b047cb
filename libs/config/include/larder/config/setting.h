#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace larder::config {

enum class Type { kText, kBytes, kTime, kFlag, kInteger, kReal, kChoice, kList };

// "text", "size", "duration", "true or false", "integer", "number", "choice", "list": as help and docs name it.
std::string_view TypeName(Type type);

// A setting's value as it is written: `items` for a list, `text` for every other type. Sizes and durations are in their
// exact shortest form ("64MiB", "300s"), so equal values have equal texts.
struct Value {
  std::string text;
  std::vector<std::string> items;
  friend bool operator==(const Value&, const Value&) = default;
};

// What was declared about a setting; everything people read about it derives from this.
struct Setting {
  std::string path;  // "node.name"; below an Each, "namespaces.<name>.durability"
  Type type = Type::kText;
  Value default_value;
  std::string bounds;                // "64MiB to 1TiB", "at least 1", "open, cgroup or csi"; empty if anything goes
  std::string min;                   // of a number, size or duration, as a value is written; empty: unbounded
  std::string max;                   // likewise
  std::vector<std::string> choices;  // of a kChoice, or a kText that takes no others
  std::string help;
  bool reloadable = false;
  bool required = false;  // may not be empty in the end
};

// Where an effective value comes from.
struct Source {
  enum class Kind { kDefault, kFile, kEnv, kFlag };
  Kind kind = Kind::kDefault;
  std::string where;  // "FILE:LINE", the variable's name, or the flag's; empty for a default
  // "default", or `where`.
  std::string_view text() const { return kind == Kind::kDefault ? std::string_view("default") : where; }
};

struct EffectiveSetting {
  Setting setting;
  Value value;
  Source source;
};

// One setting that a reload changes. `before` or `after` is empty where an Each's entry comes or goes.
struct Change {
  std::string path;
  Value before;
  Value after;
};

// "node.name" -> "--node-name".
std::string FlagName(std::string_view path);
// "LARDER_CACHE_AGENT_", "node.name" -> "LARDER_CACHE_AGENT_NODE_NAME".
std::string EnvName(std::string_view prefix, std::string_view path);
// The prefix of a service, by its folder's name: "cache_agent" -> "LARDER_CACHE_AGENT_".
std::string ServiceEnvPrefix(std::string_view service);

}  // namespace larder::config
