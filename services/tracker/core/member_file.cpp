#include "core/member_file.h"

#include <sys/random.h>

#include <array>
#include <nlohmann/json.hpp>

#include "larder/base/file.h"
#include "larder/base/status.h"

namespace larder::tracker {
namespace {

absl::StatusOr<std::string> RandomName() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return base::ErrnoError(errno, "get random bytes");
  }
  std::string name;
  for (const unsigned char byte : bytes) name += fmt::format("{:02x}", byte);
  return name;
}

absl::StatusOr<MemberFile> Parse(const std::filesystem::path& path, const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  MemberFile member;
  const auto string = [&](const char* key) {
    return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
  };
  member.cluster = string("cluster");
  member.node = string("node");
  if (json.is_object() && json.contains("raft_id") && json["raft_id"].is_number_unsigned()) {
    member.raft_id = json["raft_id"].get<uint64_t>();
  }
  if (!member.cluster.empty() && !member.node.empty() && member.raft_id != 0) return member;
  return base::Error(absl::StatusCode::kDataLoss, "BAD_MEMBER_FILE",
                     "{} does not say whose the directory is (restore the file, or join anew with an empty one)",
                     path.native());
}

}  // namespace

absl::StatusOr<MemberFile> OpenMemberFile(const std::filesystem::path& directory, const std::string& cluster,
                                          uint64_t raft_id) {
  const std::filesystem::path path = directory / "member.json";
  const absl::StatusOr<std::string> text = base::ReadFile(path);
  if (absl::IsNotFound(text.status())) {
    MemberFile member{.cluster = cluster, .raft_id = raft_id};
    LARDER_ASSIGN_OR_RETURN(member.node, RandomName());
    const nlohmann::ordered_json json = {
        {"cluster", member.cluster}, {"raft_id", member.raft_id}, {"node", member.node}};
    LARDER_RETURN_IF_ERROR(base::WriteFileAtomically(path, json.dump() + "\n"));
    return member;
  }
  LARDER_RETURN_IF_ERROR(text.status());
  LARDER_ASSIGN_OR_RETURN(MemberFile member, Parse(path, *text));
  if (member.cluster == cluster && member.raft_id == raft_id) return member;
  return base::Error(
      absl::StatusCode::kFailedPrecondition, "OTHER_MEMBER",
      "{} is member {} of cluster '{}', not member {} of '{}' (set data_dir, raft_id and cluster as they "
      "were)",
      directory.native(), member.raft_id, member.cluster, raft_id, cluster);
}

}  // namespace larder::tracker
