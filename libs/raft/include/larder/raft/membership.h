#pragma once
#include <span>
#include <string>

#include "larder/raft/types.h"

namespace larder::raft {

// The configuration of a new group of these voters, as AppliedState keeps it.
std::string EncodeVoters(std::span<const MemberId> voters);

}  // namespace larder::raft
