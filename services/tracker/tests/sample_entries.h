#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/command.h"
#include "core/reply.h"

namespace larder::tracker {

// One of each kind, every field set, by the name it has in the golden files.
std::vector<std::pair<std::string, Entry>> SampleEntries();
std::vector<std::pair<std::string, std::vector<Reply>>> SampleReplies();

}  // namespace larder::tracker
