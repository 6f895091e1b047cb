#pragma once
#include <span>
#include <string>
#include <string_view>

#include "larder/config/setting.h"

namespace larder::config {

// The effective settings as YAML that can be loaded again, each with its source as a comment.
std::string RenderYaml(std::span<const EffectiveSetting> settings);
// [{"path","type","value","source"}], indented; flags, numbers and lists in JSON's own types, sizes and durations as
// text.
std::string RenderJson(std::span<const EffectiveSetting> settings);

// Other names of a setting.
struct MarkdownNames {
  std::string env_prefix;
  bool flags = true;  // whether each setting has a flag of its name
};
// A table of docs/configuration.md: a row per setting.
std::string RenderMarkdown(const MarkdownNames& names, std::span<const Setting> settings);
// The declarations as JSON: [{"path","type","default","bounds","choices","help","reloadable","required"}].
std::string RenderSettingsJson(std::span<const Setting> settings);

}  // namespace larder::config
