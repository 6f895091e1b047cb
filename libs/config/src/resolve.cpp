#include "larder/config/resolve.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "larder/base/nearest.h"
#include "larder/base/status.h"
#include "src/document.h"
#include "src/text.h"

namespace larder::config {
namespace {

std::string DidYouMean(std::string_view name, const std::vector<std::string>& known) {
  const std::string nearest = base::NearestName(name, known);
  return nearest.empty() ? "" : " (did you mean " + nearest + "?)";
}

// Whether `path` lies below `section`: "node.name" below "node", "a[0].b" below "a".
bool IsBelow(std::string_view path, std::string_view section) {
  return path.size() > section.size() && path.starts_with(section) &&
         (path[section.size()] == '.' || path[section.size()] == '[');
}

// What follows the name of a Service in the variables that Kubernetes sets for it.
bool IsServiceLink(std::string_view name) {
  if (name.ends_with("SERVICE_HOST") || name.ends_with("SERVICE_PORT") || name.ends_with("_PORT") || name == "PORT") {
    return true;
  }
  if (name.find("SERVICE_PORT_") != std::string_view::npos) return true;
  // PORT_7400_TCP, and _PROTO, _PORT and _ADDR of it.
  const size_t port = name.find("PORT_");
  if (port == std::string_view::npos || (port > 0 && name[port - 1] != '_')) return false;
  name.remove_prefix(port + 5);
  const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  name.remove_prefix(digits);
  return digits > 0 && (name.starts_with("_TCP") || name.starts_with("_UDP") || name.starts_with("_SCTP"));
}

std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    items.emplace_back(item);
    if (comma + 1 == text.size()) items.emplace_back();  // "a," has an empty second item, which is refused
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

// Applies one source after the other, the weakest first, to a binder's fields.
class Resolver {
 public:
  Resolver(Binder& binder, const Naming& naming) : binder_(binder), naming_(naming) { IndexNewFields(); }

  absl::Status ApplyFile(const std::string& file, std::vector<Entry> entries) {
    LARDER_RETURN_IF_ERROR(SelectSection(file, entries));
    for (const Entry& entry : entries) {
      LARDER_RETURN_IF_ERROR(OpenGroups(entry.path, fmt::format("{}:{}", file, entry.line)));
    }
    for (const Entry& entry : entries)
      LARDER_RETURN_IF_ERROR(ApplyEntry(fmt::format("{}:{}", file, entry.line), entry));
    return absl::OkStatus();
  }

  absl::Status ApplyEnvironment(const Environment& env) {
    std::unordered_map<std::string, size_t> fields;
    std::vector<std::string> known = {naming_.env_prefix + "CONFIG"};
    for (const auto& [path, index] : fields_) {
      if (binder_.fields()[index].file_only) continue;
      known.push_back(EnvName(naming_.env_prefix, path));
      fields.emplace(known.back(), index);
    }
    for (auto it = env.lower_bound(naming_.env_prefix); it != env.end() && it->first.starts_with(naming_.env_prefix);
         ++it) {
      const auto& [name, text] = *it;
      if (const auto found = fields.find(name); found != fields.end()) {
        const std::string where = name + ": " + binder_.fields()[found->second].setting.path;
        LARDER_RETURN_IF_ERROR(SetText(found->second, text, where, {Source::Kind::kEnv, name}));
      } else if (naming_.unknown_env == UnknownEnv::kRefuse && name != known.front() &&
                 !IsServiceLink(std::string_view(name).substr(naming_.env_prefix.size()))) {
        return base::InvalidArgument("UNKNOWN_KEY", "{}: unknown variable{}", OneLine(name), DidYouMean(name, known));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ApplyFlags(const std::map<std::string, std::string>& flags) {
    for (const auto& [path, text] : flags) {
      const auto found = fields_.find(path);
      if (found == fields_.end() || binder_.fields()[found->second].file_only) {
        return base::InvalidArgument("UNKNOWN_KEY", "{}: unknown key{}", OneLine(path), DidYouMean(path, Known()));
      }
      const std::string flag = FlagName(path);
      LARDER_RETURN_IF_ERROR(SetText(found->second, text, flag, {Source::Kind::kFlag, flag}));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<EffectiveSetting>> Finish() {
    std::vector<EffectiveSetting> effective;
    for (size_t i = 0; i < binder_.fields().size(); ++i) {
      const Field& field = binder_.fields()[i];
      effective.push_back({field.setting, field.get(), sources_[i]});
      const EffectiveSetting& last = effective.back();
      if (field.setting.required && last.value.text.empty() && last.value.items.empty()) {
        const std::string& path = field.setting.path;
        return base::InvalidArgument("MISSING_SETTING", "{}: not set (in the file, as {} or with {})", path,
                                     EnvName(naming_.env_prefix, path), FlagName(path));
      }
    }
    LARDER_RETURN_IF_ERROR(binder_.RunChecks());
    return effective;
  }

 private:
  std::vector<std::string> Known() const {
    std::vector<std::string> known;
    for (const Field& field : binder_.fields()) known.push_back(field.setting.path);
    return known;
  }

  void IndexNewFields() {
    for (size_t i = sources_.size(); i < binder_.fields().size(); ++i) {
      fields_.emplace(binder_.fields()[i].setting.path, i);
    }
    sources_.resize(binder_.fields().size());
  }

  // Keeps the entries of the program's own section, without its name.
  absl::Status SelectSection(const std::string& file, std::vector<Entry>& entries) const {
    if (naming_.section.empty()) return absl::OkStatus();
    std::vector<Entry> own;
    for (Entry& entry : entries) {
      if (entry.path == naming_.section && entry.kind != Entry::Kind::kEmpty) {
        return base::InvalidArgument("BAD_VALUE", "{}:{}: {}: is a section, not a value", file, entry.line, entry.path);
      }
      if (!entry.path.starts_with(naming_.section + ".")) continue;
      entry.path.erase(0, naming_.section.size() + 1);
      own.push_back(std::move(entry));
    }
    entries = std::move(own);
    return absl::OkStatus();
  }

  // Declares the entries of an Each that `path` names for the first time. By index: an entry may bring groups of its
  // own.
  absl::Status OpenGroups(const std::string& path, const std::string& where) {
    for (size_t i = 0; i < binder_.groups().size(); ++i) {
      const Binder::Group& group = binder_.groups()[i];
      if (!path.starts_with(group.path + (group.is_sequence ? "[" : "."))) continue;
      const size_t begin = group.path.size() + 1;
      const std::string key = path.substr(begin, path.find(group.is_sequence ? ']' : '.', begin) - begin);
      const std::string entry = group.EntryPath(key);
      if (absl::Status opened = binder_.Open(group, key); !opened.ok()) {
        return base::Annotate(opened, where + ": " + entry);
      }
    }
    IndexNewFields();
    return absl::OkStatus();
  }

  absl::Status ApplyEntry(const std::string& at, const Entry& entry) {
    const std::string where = at + ": " + entry.path;
    const auto found = fields_.find(entry.path);
    if (found == fields_.end()) return NotASetting(where, entry);
    const Setting& setting = binder_.fields()[found->second].setting;
    const Source source = {Source::Kind::kFile, at};
    switch (entry.kind) {
      case Entry::Kind::kScalar:
        return SetText(found->second, entry.text, where, source);
      case Entry::Kind::kList:
        if (setting.type == Type::kList) return Set(found->second, {.items = entry.items}, where, source);
        return base::InvalidArgument("BAD_VALUE", "{}: is a list, and a single {} is expected", where,
                                     TypeName(setting.type));
      case Entry::Kind::kEmpty:
        break;
    }
    return base::InvalidArgument("BAD_VALUE", "{}: has no value, and a {} is expected", where, TypeName(setting.type));
  }

  // What an entry is that no setting has the path of: an empty section, or a mistake.
  absl::Status NotASetting(const std::string& where, const Entry& entry) const {
    for (const Binder::Group& group : binder_.groups()) {
      const bool is_entry =
          IsBelow(entry.path, group.path) && entry.path.find('.', group.path.size() + 1) == std::string::npos;
      if (entry.path != group.path && !is_entry && !IsBelow(group.path, entry.path)) continue;
      if (entry.kind == Entry::Kind::kEmpty) return absl::OkStatus();
      if (group.is_sequence) {
        if (entry.kind == Entry::Kind::kList && entry.items.empty()) return absl::OkStatus();
        return base::InvalidArgument("BAD_VALUE", "{}: is a list of sections, not a value", where);
      }
      return base::InvalidArgument("BAD_VALUE", "{}: is a section, not a value", where);
    }
    for (const Field& field : binder_.fields()) {
      const Setting& setting = field.setting;
      if (IsBelow(setting.path, entry.path)) {
        if (entry.kind == Entry::Kind::kEmpty) return absl::OkStatus();
        return base::InvalidArgument("BAD_VALUE", "{}: is a section, not a value", where);
      }
      if (IsBelow(entry.path, setting.path)) {
        return base::InvalidArgument("BAD_VALUE", "{}: {} is a {}, not a section", where, setting.path,
                                     TypeName(setting.type));
      }
    }
    return base::InvalidArgument("UNKNOWN_KEY", "{}: unknown key{}", where, DidYouMean(entry.path, Known()));
  }

  absl::Status SetText(size_t index, const std::string& text, const std::string& where, Source source) {
    const bool list = binder_.fields()[index].setting.type == Type::kList;
    return Set(index, list ? Value{.items = SplitList(text)} : Value{.text = text}, where, std::move(source));
  }

  absl::Status Set(size_t index, const Value& value, const std::string& where, Source source) {
    if (absl::Status set = binder_.fields()[index].set(value); !set.ok()) return base::Annotate(set, where);
    sources_[index] = std::move(source);
    return absl::OkStatus();
  }

  Binder& binder_;
  const Naming& naming_;
  std::unordered_map<std::string, size_t> fields_;  // path -> index into the binder's fields
  std::vector<Source> sources_;                     // beside the binder's fields
};

}  // namespace

absl::StatusOr<std::vector<EffectiveSetting>> Resolve(Binder& binder, const Naming& naming, const Inputs& inputs) {
  LARDER_RETURN_IF_ERROR(binder.declared());
  std::string file = inputs.file;
  std::string named_by = "--config";
  if (const auto named = inputs.env.find(naming.env_prefix + "CONFIG"); file.empty() && named != inputs.env.end()) {
    file = named->second;
    named_by = named->first;
  }
  Resolver resolver(binder, naming);
  if (!file.empty()) {
    const bool may_be_absent = inputs.file_may_be_absent && file == inputs.file;
    absl::StatusOr<std::vector<Entry>> entries = ReadDocument(file, may_be_absent);
    if (!may_be_absent && base::Reason(entries.status()) == "CONFIG_UNREADABLE") {
      return base::Annotate(entries.status(), named_by);
    }
    LARDER_RETURN_IF_ERROR(entries.status());
    LARDER_RETURN_IF_ERROR(resolver.ApplyFile(file, *std::move(entries)));
    LARDER_RETURN_IF_ERROR(binder.declared());
  }
  LARDER_RETURN_IF_ERROR(resolver.ApplyEnvironment(inputs.env));
  LARDER_RETURN_IF_ERROR(resolver.ApplyFlags(inputs.flags));
  return resolver.Finish();
}

absl::StatusOr<std::vector<Change>> Changes(std::span<const EffectiveSetting> before,
                                            std::span<const EffectiveSetting> after) {
  std::map<std::string, std::pair<const EffectiveSetting*, const EffectiveSetting*>> pairs;
  for (const EffectiveSetting& setting : before) pairs[setting.setting.path].first = &setting;
  for (const EffectiveSetting& setting : after) pairs[setting.setting.path].second = &setting;
  std::vector<Change> changes;
  std::vector<std::string> fixed;
  for (const auto& [path, pair] : pairs) {
    const auto [old_one, new_one] = pair;
    if (old_one != nullptr && new_one != nullptr && old_one->value == new_one->value) continue;
    const Setting& setting = old_one != nullptr ? old_one->setting : new_one->setting;
    if (!setting.reloadable) fixed.push_back(path);
    changes.push_back({.path = path,
                       .before = old_one != nullptr ? old_one->value : Value{},
                       .after = new_one != nullptr ? new_one->value : Value{}});
  }
  if (fixed.empty()) return changes;
  return base::Error(absl::StatusCode::kFailedPrecondition, "NOT_RELOADABLE", "{}: cannot change without a restart",
                     fmt::join(fixed, ", "));
}

absl::StatusOr<std::vector<std::string>> Sections(const std::string& file, std::span<const std::string> known) {
  LARDER_ASSIGN_OR_RETURN(const std::vector<Entry> entries, ReadDocument(file, /*may_be_absent=*/false));
  std::vector<std::string> sections;
  for (const Entry& entry : entries) {
    const std::string section = entry.path.substr(0, entry.path.find('.'));
    const std::string name = section.substr(0, section.find('['));
    const std::string where = fmt::format("{}:{}: {}", file, entry.line, name);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return base::InvalidArgument("UNKNOWN_KEY", "{}: unknown section{}", where,
                                   DidYouMean(name, {known.begin(), known.end()}));
    }
    if (entry.path == name && entry.kind != Entry::Kind::kEmpty) {
      return base::InvalidArgument("BAD_VALUE", "{}: is a section, not a value", where);
    }
    if (std::find(sections.begin(), sections.end(), section) == sections.end()) sections.push_back(section);
  }
  return sections;
}

}  // namespace larder::config
