#include "larder/tracker/config.h"

#include <charconv>
#include <chrono>
#include <limits>

#include "larder/base/status.h"
#include "larder/resp/number.h"
#include "larder/rpc/address.h"

namespace larder::tracker {
namespace {

constexpr int kMaxThreads = 64;
constexpr base::Duration kShortestSession = std::chrono::milliseconds(100);
constexpr base::Duration kLongestSession = std::chrono::hours(1);
constexpr size_t kMaxClusterName = 64;

absl::Status CheckAbsolute(const std::string& path) {
  if (path.starts_with('/')) return absl::OkStatus();
  return base::InvalidArgument("BAD_VALUE", "'{}' is not an absolute path", path);
}

absl::Status CheckName(const std::string& name) {
  if (!name.empty() && name.size() <= kMaxClusterName) return absl::OkStatus();
  return base::InvalidArgument("BAD_VALUE", "a cluster's name has 1 to {} bytes", kMaxClusterName);
}

// resp listens on numeric addresses only.
absl::Status CheckCluster(const std::string& text) { return ParseCluster(text).status(); }

absl::Status CheckTogether(const Config& config) {
  LARDER_ASSIGN_OR_RETURN(const auto members, ParseCluster(config.initial_cluster));
  if (members.empty() || members.contains(config.raft_id)) return absl::OkStatus();
  return base::InvalidArgument("BAD_VALUE", "initial_cluster does not name raft_id {}", config.raft_id);
}

}  // namespace

absl::StatusOr<std::map<uint64_t, std::string>> ParseCluster(std::string_view text) {
  std::map<uint64_t, std::string> members;
  if (text.ends_with(',')) return base::InvalidArgument("BAD_VALUE", "'{}' ends with a comma", text);
  while (!text.empty()) {
    const std::string_view member = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), member.size() + 1));
    const size_t equals = member.find('=');
    const auto id = resp::ParseInteger(member.substr(0, equals));
    if (equals == std::string_view::npos || !id || *id < 1) {
      return base::InvalidArgument("BAD_VALUE", "'{}' is not ID=HOST:PORT with an ID of 1 or more", member);
    }
    const std::string address(member.substr(equals + 1));
    LARDER_ASSIGN_OR_RETURN(const rpc::HostPort parsed, rpc::ParseHostPort(address));
    if (parsed.port == 0) return base::InvalidArgument("BAD_VALUE", "'{}' has no port", member);
    if (!members.emplace(static_cast<uint64_t>(*id), address).second) {
      return base::InvalidArgument("BAD_VALUE", "id {} is there twice", *id);
    }
  }
  return members;
}

void Declare(config::Binder& binder, Config& config) {
  binder.Text("data_dir", &config.data_dir,
              {.help = "Directory of the log and the registry; one tracker owns it.",
               .required = true,
               .check = CheckAbsolute});
  binder.Text(
      "listen.grpc", &config.grpc,
      {.help = "Where Larder's own services and `larder` call.", .required = true, .check = rpc::CheckHostPort});
  binder.Text(
      "listen.raft", &config.raft,
      {.help = "Where the other trackers of the cluster connect.", .required = true, .check = rpc::CheckHostPort});
  binder.Text(
      "listen.resp", &config.resp,
      {.help = "Where Redis clients connect; a numeric IPv4 address. Empty: nowhere.",
       .check = [](const std::string& text) { return text.empty() ? absl::OkStatus() : rpc::CheckHostPort(text); }});
  binder.Text("cluster", &config.cluster,
              {.help = "Name of the cluster; trackers of another one are refused.", .check = CheckName});
  binder.Integer("raft_id", &config.raft_id,
                 {.help = "This tracker's number in the cluster. Never given to another disk, nor used again.",
                  .min = 1,
                  .max = std::numeric_limits<int64_t>::max()});
  binder.Text(
      "initial_cluster", &config.initial_cluster,
      {.help = "The first voters of the cluster, the same on each: ID=HOST:PORT of listen.raft, parted by commas; "
               "this one's is the address that others use. Empty: this tracker is alone.",
       .check = CheckCluster});
  binder.Integer("reader.threads", &config.reader_threads,
                 {.help = "Threads that answer reads.", .min = 1, .max = kMaxThreads});
  binder.Time("node.session_timeout", &config.node_session,
              {.help = "A node that was told that it is alive is not fenced for so long, and counts on it for half of "
                       "that. The same on each tracker.",
               .min = kShortestSession,
               .max = kLongestSession});
  binder.Check([&config] { return CheckTogether(config); });
}

}  // namespace larder::tracker
