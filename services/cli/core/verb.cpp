#include "core/verb.h"

#include <algorithm>

namespace larder::cli {

bool Declares(const Verb& verb, std::string_view flag) {
  return std::any_of(verb.flags.begin(), verb.flags.end(), [&](const Flag& own) { return own.name == flag; });
}

std::vector<const Flag*> FlagsOf(const Verb& verb) {
  std::vector<const Flag*> flags;
  for (const Flag& flag : verb.flags) flags.push_back(&flag);
  for (const Flag& flag : CommonFlags()) {
    if (!Declares(verb, flag.name)) flags.push_back(&flag);
  }
  return flags;
}

}  // namespace larder::cli
