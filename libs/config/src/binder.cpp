#include "larder/config/binder.h"

#include <array>
#include <utility>

#include "larder/base/nearest.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "src/text.h"
#include "src/values.h"

namespace larder::config {
namespace {

// Names taken by the loader itself, and variables that Kubernetes would set behind our back for a Service of our name.
constexpr std::array<std::string_view, 8> kReserved = {
    "--config", "--help", "--h", "--print-config", "--port", "--service-host", "--service-port", "--version"};

constexpr std::string_view kPathRule = "a path is words of a-z, 0-9 and _, parted by dots";

bool IsPath(std::string_view path, bool capitals) {
  char previous = '.';
  for (const char c : path) {
    const bool letter = (c >= 'a' && c <= 'z') || (capitals && c >= 'A' && c <= 'Z');
    const bool word = letter || (c >= '0' && c <= '9') || c == '_';
    if (!word && (c != '.' || previous == '.')) return false;
    previous = c;
  }
  return previous != '.';
}

bool IsKey(std::string_view key) {
  for (const char c : key) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_') return false;
  }
  return !key.empty();
}

absl::Status CheckText(const std::string& text, const TextCheck& check) {
  if (!IsText(text)) {
    return base::InvalidArgument("BAD_VALUE", "{} is not UTF-8 text, or has control characters", Quoted(text));
  }
  return check ? check(text) : absl::OkStatus();
}

Value TextValue(std::string text) { return {.text = std::move(text)}; }

}  // namespace

void Binder::Text(const std::string& path, std::string* field, TextOptions options) {
  std::string all = fmt::format("{}", fmt::join(options.choices, ", "));
  Add(path, {.setting = {.type = Type::kText,
                         .bounds = std::move(all),
                         .choices = std::move(options.choices),
                         .help = std::move(options.help),
                         .reloadable = options.reloadable,
                         .required = options.required},
             .set = [field, check = std::move(options.check)](const Value& value) -> absl::Status {
               LARDER_RETURN_IF_ERROR(CheckText(value.text, check));
               *field = value.text;
               return absl::OkStatus();
             },
             .get = [field] { return TextValue(*field); }});
}

void Binder::Bytes(const std::string& path, uint64_t* field, BytesOptions options) {
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  const std::string min = options.min > 0 ? base::FormatBytesExact(options.min) : "";
  const std::string max = options.max < kMost ? base::FormatBytesExact(options.max) : "";
  const std::string bounds = BoundsText(min, max);
  if (*field < options.min || *field > options.max) Refuse(path, "its default is out of its bounds");
  Add(path, {.setting = {.type = Type::kBytes,
                         .bounds = bounds,
                         .min = min,
                         .max = max,
                         .help = std::move(options.help),
                         .reloadable = options.reloadable},
             .set = [field, bounds, least = options.min, most = options.max](const Value& value) -> absl::Status {
               const absl::StatusOr<uint64_t> bytes = base::ParseBytes(value.text);
               if (!bytes.ok()) {
                 return base::InvalidArgument("BAD_VALUE", "{} is not a size such as 4MiB", Quoted(value.text));
               }
               if (*bytes < least || *bytes > most) return OutOfBounds(value.text, bounds);
               *field = *bytes;
               return absl::OkStatus();
             },
             .get = [field] { return TextValue(base::FormatBytesExact(*field)); }});
}

void Binder::Time(const std::string& path, base::Duration* field, TimeOptions options) {
  const std::string min = options.min > base::Duration::zero() ? base::FormatDuration(options.min) : "";
  const std::string max = options.max < base::Duration::max() ? base::FormatDuration(options.max) : "";
  const std::string bounds = BoundsText(min, max);
  if (*field < options.min || *field > options.max) Refuse(path, "its default is out of its bounds");
  Add(path, {.setting = {.type = Type::kTime,
                         .bounds = bounds,
                         .min = min,
                         .max = max,
                         .help = std::move(options.help),
                         .reloadable = options.reloadable},
             .set = [field, bounds, least = options.min, most = options.max](const Value& value) -> absl::Status {
               const absl::StatusOr<base::Duration> time = base::ParseDuration(value.text);
               if (!time.ok()) {
                 return base::InvalidArgument("BAD_VALUE", "{} is not a duration such as 30s", Quoted(value.text));
               }
               if (*time < least || *time > most) return OutOfBounds(value.text, bounds);
               *field = *time;
               return absl::OkStatus();
             },
             .get = [field] { return TextValue(base::FormatDuration(*field)); }});
}

void Binder::Flag(const std::string& path, bool* field, FlagOptions options) {
  Add(path, {.setting = {.type = Type::kFlag, .help = std::move(options.help), .reloadable = options.reloadable},
             .set = [field](const Value& value) -> absl::Status {
               LARDER_ASSIGN_OR_RETURN(*field, ParseFlag(value.text));
               return absl::OkStatus();
             },
             .get = [field] { return TextValue(*field ? "true" : "false"); }});
}

void Binder::Real(const std::string& path, double* field, RealOptions options) {
  constexpr double kMost = std::numeric_limits<double>::max();
  const std::string min = options.min > -kMost ? fmt::format("{}", options.min) : "";
  const std::string max = options.max < kMost ? fmt::format("{}", options.max) : "";
  const std::string bounds = BoundsText(min, max);
  if (!(*field >= options.min && *field <= options.max)) Refuse(path, "its default is out of its bounds");
  Add(path, {.setting = {.type = Type::kReal,
                         .bounds = bounds,
                         .min = min,
                         .max = max,
                         .help = std::move(options.help),
                         .reloadable = options.reloadable},
             .set = [field, bounds, least = options.min, most = options.max](const Value& value) -> absl::Status {
               LARDER_ASSIGN_OR_RETURN(const double number, ParseReal(value.text));
               if (number < least || number > most) return OutOfBounds(value.text, bounds);
               *field = number;
               return absl::OkStatus();
             },
             .get = [field] { return TextValue(fmt::format("{}", *field)); }});
}

void Binder::List(const std::string& path, std::vector<std::string>* field, ListOptions options) {
  Add(path, {.setting = {.type = Type::kList,
                         .help = std::move(options.help),
                         .reloadable = options.reloadable,
                         .required = options.required},
             .set = [field, check = std::move(options.check)](const Value& value) -> absl::Status {
               for (const std::string& item : value.items) {
                 if (item.empty()) return base::InvalidArgument("BAD_VALUE", "an item of the list is empty");
                 LARDER_RETURN_IF_ERROR(CheckText(item, check));
               }
               *field = value.items;
               return absl::OkStatus();
             },
             .get = [field] { return Value{.items = *field}; }});
}

void Binder::AddInteger(const std::string& path, Getter get, Setter set, IntegerOptions options) {
  using Limits = std::numeric_limits<int64_t>;
  const std::string min = options.min > Limits::min() ? fmt::format("{}", options.min) : "";
  const std::string max = options.max < Limits::max() ? fmt::format("{}", options.max) : "";
  const std::string bounds = BoundsText(min, max);
  if (get() < options.min || get() > options.max) Refuse(path, "its default is out of its bounds");
  Add(path, {.setting = {.type = Type::kInteger,
                         .bounds = bounds,
                         .min = min,
                         .max = max,
                         .help = std::move(options.help),
                         .reloadable = options.reloadable},
             .set = [set, bounds, least = options.min, most = options.max](const Value& value) -> absl::Status {
               LARDER_ASSIGN_OR_RETURN(const int64_t number, ParseInteger(value.text));
               if (number < least || number > most) return OutOfBounds(value.text, bounds);
               set(number);
               return absl::OkStatus();
             },
             .get = [get] { return TextValue(fmt::format("{}", get())); }});
}

void Binder::AddChoice(const std::string& path, Getter get, Setter set,
                       std::vector<std::pair<std::string, int64_t>> names, ChoiceOptions options) {
  std::vector<std::string> choices;
  for (const auto& [name, number] : names) choices.push_back(name);
  const std::string all = fmt::format("{}", fmt::join(choices, ", "));
  const auto name_of = [names, get] {
    for (const auto& [name, number] : names) {
      if (number == get()) return name;
    }
    return std::string();
  };
  if (name_of().empty()) Refuse(path, "its default is none of its choices");
  Add(path, {.setting = {.type = Type::kChoice,
                         .bounds = all,
                         .choices = choices,
                         .help = std::move(options.help),
                         .reloadable = options.reloadable},
             .set = [set, names, choices, all](const Value& value) -> absl::Status {
               for (const auto& [name, number] : names) {
                 if (name != value.text) continue;
                 set(number);
                 return absl::OkStatus();
               }
               const std::string nearest = base::NearestName(value.text, choices);
               return base::InvalidArgument("BAD_VALUE", "{} is not one of {}{}", Quoted(value.text), all,
                                            nearest.empty() ? "" : " (did you mean " + nearest + "?)");
             },
             .get = [name_of] { return TextValue(name_of()); }});
}

void Binder::AddEach(const std::string& path, const std::vector<std::string>& keys,
                     std::function<void(Binder&, const std::string&)> declare,
                     const std::function<void(Binder&)>& example, EachOptions options) {
  if (!IsPath(path, capitals_)) return Refuse(path, kPathRule);
  const Group group = {.path = Below(path), .declare = std::move(declare), .check_key = std::move(options.check_key)};
  AddGroup(group, options.key, example);
  for (const std::string& key : keys) Declare(group, key, file_only_);
}

void Binder::AddItems(const std::string& path, std::function<void(Binder&, const std::string&)> declare,
                      const std::function<void(Binder&)>& example) {
  if (!IsPath(path, capitals_)) return Refuse(path, kPathRule);
  AddGroup({.path = Below(path), .is_sequence = true, .declare = std::move(declare)}, "n", example);
}

void Binder::AddGroup(Group group, const std::string& key_name, const std::function<void(Binder&)>& example) {
  Binder general;
  general.prefix_ = group.EntryPath("<" + key_name + ">");
  general.capitals_ = capitals_ || group.is_sequence;
  example(general);
  if (declared_.ok()) declared_ = general.declared_;
  if (!in_entry_) settings_.insert(settings_.end(), general.settings_.begin(), general.settings_.end());
  groups_.push_back(std::move(group));
}

absl::Status Binder::Open(Group group, const std::string& key) {
  if (!IsKey(key)) {
    return base::InvalidArgument("BAD_VALUE", "{} is not a word of letters, digits, - and _", Quoted(key));
  }
  if (entries_.contains(group.EntryPath(key))) return absl::OkStatus();
  if (group.check_key) LARDER_RETURN_IF_ERROR(group.check_key(key));
  Declare(group, key, /*file_only=*/true);
  return absl::OkStatus();
}

void Binder::Declare(const Group& group, const std::string& key, bool file_only) {
  const std::string prefix = std::exchange(prefix_, group.EntryPath(key));
  const bool in_entry = std::exchange(in_entry_, true);
  const bool capitals = std::exchange(capitals_, capitals_ || group.is_sequence);
  const bool was_file_only = std::exchange(file_only_, file_only);
  entries_.insert(prefix_);
  group.declare(*this, key);
  prefix_ = prefix;
  in_entry_ = in_entry;
  capitals_ = capitals;
  file_only_ = was_file_only;
}

void Binder::Section(const std::string& path, const std::function<void(Binder&)>& declare) {
  const std::string prefix = std::exchange(prefix_, Below(path));
  declare(*this);
  prefix_ = prefix;
}

absl::Status Binder::RunChecks() const {
  for (const auto& check : checks_) LARDER_RETURN_IF_ERROR(check());
  return absl::OkStatus();
}

void Binder::Add(const std::string& path, Field field) {
  field.setting.path = Below(path);
  field.setting.default_value = field.get();
  field.file_only = file_only_;
  if (!IsPath(path, capitals_)) return Refuse(path, kPathRule);
  if (!file_only_) {
    const std::string flag = FlagName(field.setting.path);
    for (const std::string_view reserved : kReserved) {
      if (flag == reserved) return Refuse(path, "its name is reserved");
    }
    const auto [other, added] = flags_.emplace(flag, field.setting.path);
    if (!added) return Refuse(path, "its flag and variable are those of " + other->second);
  }
  if (!in_entry_) settings_.push_back(field.setting);
  fields_.push_back(std::move(field));
}

void Binder::Refuse(const std::string& path, std::string_view why) {
  if (!declared_.ok()) return;
  declared_ = base::Error(absl::StatusCode::kInternal, "BAD_DECLARATION", "setting {}: {}", Below(path), why);
}

}  // namespace larder::config
