#pragma once
#include <span>
#include <string>

#include "core/verb.h"

namespace larder::cli {

// What `larder --help` prints; of `group` only, if it is not empty. Pure.
std::string HelpOfAll(std::span<const Verb> verbs, const std::string& group);
std::string HelpOf(const Verb& verb);

}  // namespace larder::cli
