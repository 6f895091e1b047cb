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

// A section of docs/configuration.md: a heading and a table of every setting.
std::string RenderMarkdown(std::string_view title, std::string_view env_prefix, std::span<const Setting> settings);
// The declarations as JSON: [{"path","type","default","bounds","choices","help","reloadable","required"}].
std::string RenderSettingsJson(std::span<const Setting> settings);

}  // namespace larder::config
