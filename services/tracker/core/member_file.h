#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace larder::tracker {

// Whose a data directory is.
struct MemberFile {
  std::string cluster;
  uint64_t raft_id = 0;
  std::string node;  // made at random with the directory: another disk has another one
};

// Reads `directory`/member.json, or writes it if there is none. FAILED_PRECONDITION (OTHER_MEMBER) if it is another
// cluster's or member's, DATA_LOSS (BAD_MEMBER_FILE) if it cannot be read, and the system's errors.
absl::StatusOr<MemberFile> OpenMemberFile(const std::filesystem::path& directory, const std::string& cluster,
                                          uint64_t raft_id);

}  // namespace larder::tracker
