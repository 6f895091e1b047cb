#pragma once
#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "larder/base/nearest.h"
#include "larder/base/status.h"

namespace larder::object {

// Named entries of one extension point. Entry has a std::string `name` and `help`. Filled at start by RegisterAll(),
// then only read: not thread-safe while filled.
template <typename Entry>
class Registry {
 public:
  // `kind` is the word for messages: "backend".
  explicit Registry(std::string kind) : kind_(std::move(kind)) {}

  void Add(Entry entry) {
    std::string name = entry.name;
    if (!entries_.emplace(name, std::move(entry)).second) twice_.push_back(name);
  }
  // INVALID_ARGUMENT (NAME_TAKEN) if two entries had one name: no start then.
  absl::Status Check() const {
    if (twice_.empty()) return absl::OkStatus();
    return base::InvalidArgument("NAME_TAKEN", "two {}s are named '{}': rename one", kind_, twice_.front());
  }
  // INVALID_ARGUMENT (UNKNOWN_SCHEME) naming the nearest known one.
  absl::StatusOr<const Entry*> Get(std::string_view name) const {
    LARDER_RETURN_IF_ERROR(Check());
    if (auto it = entries_.find(std::string(name)); it != entries_.end()) return &it->second;
    const std::vector<std::string> known = Names();
    std::string nearest = base::NearestName(name, known);
    if (nearest.empty()) {
      return base::InvalidArgument("UNKNOWN_SCHEME", "no {} is named '{}' (known: {})", kind_, name,
                                   fmt::join(known, ", "));
    }
    return base::InvalidArgument("UNKNOWN_SCHEME", "no {} is named '{}' (did you mean '{}'?)", kind_, name, nearest);
  }
  // Sorted.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_) names.push_back(name);
    return names;
  }

 private:
  std::string kind_;
  std::map<std::string, Entry> entries_;
  std::vector<std::string> twice_;
};

// "SCHEME://REST" in its two parts; INVALID_ARGUMENT (BAD_URI) without a scheme.
struct UriParts {
  std::string scheme;
  std::string rest;
};
absl::StatusOr<UriParts> SplitUri(std::string_view uri);

}  // namespace larder::object
