#pragma once
#include <span>
#include <string>

#include "core/verb.h"

namespace larder::cli {

// Completion scripts, from what the verbs declare: verbs, flags, choices, files. Pure.
std::string BashCompletion(std::span<const Verb> verbs);
std::string ZshCompletion(std::span<const Verb> verbs);
std::string FishCompletion(std::span<const Verb> verbs);

}  // namespace larder::cli
