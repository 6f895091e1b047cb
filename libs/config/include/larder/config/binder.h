#pragma once
#include <absl/status/status.h>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "larder/base/clock.h"
#include "larder/config/setting.h"

namespace larder::config {

// Tells what is wrong with a value, without naming its setting: the loader adds the key and where it was written.
using TextCheck = std::function<absl::Status(const std::string&)>;

struct TextOptions {
  std::string help;
  bool required = false;  // an empty value is refused
  TextCheck check;        // runs on every value that is given, not on the default
  // All values that `check` accepts, where those can be listed: for help, docs and schemas.
  std::vector<std::string> choices = {};
  bool reloadable = false;
};
struct BytesOptions {
  std::string help;
  uint64_t min = 0;
  uint64_t max = std::numeric_limits<int64_t>::max();
  bool reloadable = false;
};
struct TimeOptions {
  std::string help;
  base::Duration min{0};
  base::Duration max = base::Duration::max();
  bool reloadable = false;
};
struct FlagOptions {
  std::string help;
  bool reloadable = false;
};
struct IntegerOptions {
  std::string help;
  int64_t min = 0;  // negative values are allowed only where this says so
  int64_t max = std::numeric_limits<int64_t>::max();
  bool reloadable = false;
};
struct RealOptions {
  std::string help;
  double min = 0;
  double max = std::numeric_limits<double>::max();
  bool reloadable = false;
};
struct ChoiceOptions {
  std::string help;
  bool reloadable = false;
};
struct ListOptions {
  std::string help;
  bool required = false;  // an empty list is refused
  TextCheck check;        // runs on every item that is given
  bool reloadable = false;
};
struct EachOptions {
  std::string key = "name";  // how docs call an entry's key: "namespaces.<name>.durability"
  TextCheck check_key;
};

// A setting with its way into the struct. `set` validates and stores; its error does not name the setting.
struct Field {
  Setting setting;
  std::function<absl::Status(const Value&)> set;
  std::function<Value()> get;
  bool file_only = false;  // an Each's entry that the file added: it has no flag and no variable
};

// Binds each field of a plain struct to one setting. A service writes one function and calls every other thing derived:
//
//   void Declare(config::Binder& b, Config& c) {
//     b.Bytes("arena", &c.arena, {.help = "Memory for objects.", .min = 64 * base::kMiB});
//     b.Section("node", [&](config::Binder& b) { b.Text("name", &c.node_name, {.help = "This node's name."}); });
//   }
//
// A path is words of [a-z0-9_] parted by dots. The value a field has when it is bound is the setting's default. Fields
// are borrowed and must outlive the binder. A mistake in a declaration (a path taken twice, two paths with one flag or
// variable name, a default out of its bounds) is remembered and makes every load fail with INTERNAL (BAD_DECLARATION).
// Not thread-safe.
class Binder {
 public:
  void Text(const std::string& path, std::string* field, TextOptions options);
  void Bytes(const std::string& path, uint64_t* field, BytesOptions options);
  void Time(const std::string& path, base::Duration* field, TimeOptions options);
  void Flag(const std::string& path, bool* field, FlagOptions options);
  void Real(const std::string& path, double* field, RealOptions options);
  // Comma-separated in flags, variables and a file's plain text; a sequence in a file. Items are never empty.
  void List(const std::string& path, std::vector<std::string>* field, ListOptions options);

  // Any integer type; the bounds are narrowed to what it holds (and to int64_t for uint64_t).
  template <std::integral T>
  void Integer(const std::string& path, T* field, IntegerOptions options) {
    const auto least = std::in_range<int64_t>(std::numeric_limits<T>::min())
                           ? static_cast<int64_t>(std::numeric_limits<T>::min())
                           : std::numeric_limits<int64_t>::min();
    const auto most = std::in_range<int64_t>(std::numeric_limits<T>::max())
                          ? static_cast<int64_t>(std::numeric_limits<T>::max())
                          : std::numeric_limits<int64_t>::max();
    options.min = std::max(options.min, least);
    options.max = std::min(options.max, most);
    AddInteger(
        path, [field] { return static_cast<int64_t>(*field); },
        [field](int64_t value) { *field = static_cast<T>(value); }, std::move(options));
  }

  // One of the named values of an enum: {{"open", Identity::kOpen}, …}.
  template <typename Enum>
    requires std::is_enum_v<Enum>
  void Choice(const std::string& path, Enum* field,
              std::type_identity_t<std::vector<std::pair<std::string, Enum>>> names, ChoiceOptions options) {
    std::vector<std::pair<std::string, int64_t>> numbers;
    for (auto& [name, value] : names) numbers.emplace_back(std::move(name), static_cast<int64_t>(value));
    AddChoice(
        path, [field] { return static_cast<int64_t>(*field); },
        [field](int64_t value) { *field = static_cast<Enum>(value); }, std::move(numbers), std::move(options));
  }

  // A section with an entry per key of the user's choosing, each declared by `declare`: `namespaces: {team-a: {…}}`.
  // New entries come from the file alone and start as T{}; those that the map has already (defaults) may be set
  // everywhere. A key is one word of letters, digits, `-` and `_`.
  template <typename T>
  void Each(const std::string& path, std::map<std::string, T>* field,
            std::type_identity_t<std::function<void(Binder&, T&)>> declare, EachOptions options) {
    std::vector<std::string> keys;
    for (const auto& [key, entry] : *field) keys.push_back(key);
    AddEach(
        path, keys, [declare, field](Binder& binder, const std::string& key) { declare(binder, (*field)[key]); },
        [declare](Binder& binder) {
          T example{};
          declare(binder, example);
        },
        std::move(options));
  }

  // A sequence of entries, each declared by `declare`: `grants: [{…}, {…}]`. They come from the file alone and start as
  // T{}; the field is empty when it is bound. Their paths, `grants[0].serviceAccount`, may have capitals.
  template <typename T>
  void Items(const std::string& path, std::deque<T>* field,
             std::type_identity_t<std::function<void(Binder&, T&)>> declare) {
    AddItems(
        path, [declare, field](Binder& binder, const std::string&) { declare(binder, field->emplace_back()); },
        [declare](Binder& binder) {
          T example{};
          declare(binder, example);
        });
  }

  // Declares what `declare` binds below `path`.
  void Section(const std::string& path, const std::function<void(Binder&)>& declare);

  // A rule over several settings, run once all are set and valid. Its message names the settings.
  void Check(std::function<absl::Status()> check) { checks_.push_back(std::move(check)); }

  // For the loader.
  struct Group {
    // What the path of an entry begins with, its key follows, then its end: "quotas", ".", "team-a", or "grants", "[",
    // "0", "]".
    std::string path;
    bool is_sequence = false;
    std::string EntryPath(const std::string& key) const {
      return is_sequence ? path + "[" + key + "]" : path + "." + key;
    }
    std::function<void(Binder&, const std::string& key)> declare;
    TextCheck check_key;
  };
  const std::vector<Field>& fields() const { return fields_; }
  const std::vector<Group>& groups() const { return groups_; }
  // Everything declared, in that order, an Each's entry once in its general form.
  const std::vector<Setting>& settings() const { return settings_; }
  // The first mistake in the declarations, else OK.
  const absl::Status& declared() const { return declared_; }
  // Adds the entry `key` to a group of this binder, unless it is there already. INVALID_ARGUMENT (BAD_VALUE) for a key
  // that is no such word or that the group's check refuses.
  absl::Status Open(Group group, const std::string& key);
  // The first check that fails, else OK.
  absl::Status RunChecks() const;

 private:
  using Getter = std::function<int64_t()>;
  using Setter = std::function<void(int64_t)>;
  void AddInteger(const std::string& path, Getter get, Setter set, IntegerOptions options);
  void AddChoice(const std::string& path, Getter get, Setter set, std::vector<std::pair<std::string, int64_t>> names,
                 ChoiceOptions options);
  void AddEach(const std::string& path, const std::vector<std::string>& keys,
               std::function<void(Binder&, const std::string&)> declare, const std::function<void(Binder&)>& example,
               EachOptions options);
  void AddItems(const std::string& path, std::function<void(Binder&, const std::string&)> declare,
                const std::function<void(Binder&)>& example);
  void AddGroup(Group group, const std::string& key_name, const std::function<void(Binder&)>& example);
  void Add(const std::string& path, Field field);
  void Declare(const Group& group, const std::string& key, bool file_only);
  void Refuse(const std::string& path, std::string_view why);
  std::string Below(const std::string& path) const { return prefix_.empty() ? path : prefix_ + "." + path; }

  std::string prefix_;
  bool in_entry_ = false;  // an Each's entry is being bound: its general form is in settings_ already
  bool file_only_ = false;
  bool capitals_ = false;  // a sequence's entry is being bound
  std::vector<Field> fields_;
  std::vector<Setting> settings_;
  std::vector<Group> groups_;
  std::set<std::string> entries_;  // "namespaces.team-a"
  std::vector<std::function<absl::Status()>> checks_;
  std::map<std::string, std::string, std::less<>> flags_;  // flag name -> path, to find two with one name
  absl::Status declared_;
};

}  // namespace larder::config
