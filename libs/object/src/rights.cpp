#include "larder/object/rights.h"

#include <algorithm>

namespace larder::object {

std::string_view VerbName(Verb verb) {
  constexpr std::array<std::string_view, kVerbs.size()> kNames = {"get", "put", "delete", "list", "pin"};
  return kNames.at(static_cast<size_t>(verb));
}

std::optional<Verb> VerbOfName(std::string_view name) {
  const auto* const found = std::ranges::find(kVerbs, name, VerbName);
  if (found == kVerbs.end()) return std::nullopt;
  return *found;
}

}  // namespace larder::object
