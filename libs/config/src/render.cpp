#include "larder/config/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "src/text.h"
#include "src/values.h"

namespace larder::config {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

// Words that every YAML reader takes as text. All else is quoted: JSON's quoting is YAML's too.
bool IsPlain(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || (!letter(text.front()) && text.front() != '/') || text.back() == ':') return false;
  for (const char c : text) {
    if (!letter(c) && !(c >= '0' && c <= '9') && std::string_view("_./:-").find(c) == std::string_view::npos)
      return false;
  }
  for (const std::string_view word : {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}) {
    if (text.size() != word.size()) continue;
    bool same = true;
    for (size_t i = 0; i < word.size(); ++i) same = same && (text[i] | 0x20) == word[i];
    if (same) return false;
  }
  return true;
}

std::string Scalar(std::string_view text) { return IsPlain(text) ? std::string(text) : Dump(Json(text), -1); }

std::string YamlValue(Type type, const Value& value) {
  switch (type) {
    case Type::kText:
    case Type::kChoice:
      return Scalar(value.text);
    case Type::kList: {
      std::vector<std::string> items;
      for (const std::string& item : value.items) items.push_back(Scalar(item));
      return fmt::format("[{}]", fmt::join(items, ", "));
    }
    default:
      return value.text;
  }
}

Json JsonValue(Type type, const Value& value) {
  switch (type) {
    case Type::kFlag:
      return value.text == "true";
    case Type::kInteger:
      if (const auto number = ParseInteger(value.text); number.ok()) return *number;
      return value.text;
    case Type::kReal:
      if (const auto number = ParseReal(value.text); number.ok()) return *number;
      return value.text;
    case Type::kList:
      return value.items;
    default:
      return value.text;
  }
}

// The settings as a tree by the words of their paths; children in order of first appearance.
struct Node {
  std::string word;
  const EffectiveSetting* setting = nullptr;
  std::vector<Node> children;

  Node& Child(std::string_view child_word) {
    for (Node& child : children) {
      if (child.word == child_word) return child;
    }
    return children.emplace_back(Node{.word = std::string(child_word)});
  }
};

void Print(const Node& node, int depth, std::string& out) {
  for (const Node& child : node.children) {
    const std::string indent(static_cast<size_t>(depth) * 2, ' ');
    if (child.word.starts_with('[')) {  // an entry of a sequence
      std::string entry;
      Print(child, depth + 1, entry);
      out += entry.replace(indent.size(), 2, "- ");
      continue;
    }
    if (child.setting != nullptr) {
      out += fmt::format("{}{}: {}  # {}\n", indent, child.word,
                         YamlValue(child.setting->setting.type, child.setting->value),
                         OneLine(child.setting->source.text()));
    } else {
      out += fmt::format("{}{}:\n", indent, child.word);
    }
    Print(child, depth + 1, out);
  }
}

std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : OneLine(text)) cell += c == '|' ? std::string("\\|") : std::string(1, c);
  return cell;
}

std::string Code(std::string_view text) { return text.empty() ? "" : fmt::format("`{}`", Cell(text)); }

}  // namespace

std::string RenderYaml(std::span<const EffectiveSetting> settings) {
  Node root;
  for (const EffectiveSetting& setting : settings) {
    Node* node = &root;
    std::string_view rest = setting.setting.path;
    while (!rest.empty()) {
      // "grants[0].verbs": grants, [0], verbs.
      const size_t end = std::min(rest.find_first_of(".[", 1), rest.size());
      node = &node->Child(rest.substr(0, end));
      rest.remove_prefix(end);
      if (rest.starts_with('.')) rest.remove_prefix(1);
    }
    node->setting = &setting;
  }
  std::string out;
  Print(root, 0, out);
  return out;
}

std::string RenderJson(std::span<const EffectiveSetting> settings) {
  Json all = Json::array();
  for (const auto& [setting, value, source] : settings) {
    all.push_back({{"path", setting.path},
                   {"type", TypeName(setting.type)},
                   {"value", JsonValue(setting.type, value)},
                   {"source", source.text()}});
  }
  return Dump(all, 2) + "\n";
}

std::string RenderMarkdown(const MarkdownNames& names, std::span<const Setting> settings) {
  std::string out = "| setting | also as | type | default | bounds | reload | what |\n|---|---|---|---|---|---|---|\n";
  for (const Setting& setting : settings) {
    const std::string value = setting.type == Type::kList
                                  ? fmt::format("{}", fmt::join(setting.default_value.items, ","))
                                  : setting.default_value.text;
    std::string also;
    if (const bool entry = setting.path.find('<') != std::string::npos; !entry) {
      also = Code(EnvName(names.env_prefix, setting.path));
      if (names.flags) also += " " + Code(FlagName(setting.path));
    }
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", Code(setting.path), also, TypeName(setting.type),
                       value.empty() && setting.required ? "required" : Code(value), Cell(setting.bounds),
                       setting.reloadable ? "yes" : "no", Cell(setting.help));
  }
  return out;
}

std::string RenderSettingsJson(std::span<const Setting> settings) {
  Json all = Json::array();
  for (const Setting& setting : settings) {
    all.push_back({{"path", setting.path},
                   {"type", TypeName(setting.type)},
                   {"default", JsonValue(setting.type, setting.default_value)},
                   {"bounds", setting.bounds},
                   {"choices", setting.choices},
                   {"help", setting.help},
                   {"reloadable", setting.reloadable},
                   {"required", setting.required}});
  }
  return Dump(all, 2) + "\n";
}

}  // namespace larder::config
