#include "larder/cache_agent/config.h"

#include <filesystem>
#include <utility>

#include "core/grants.h"
#include "core/identity.h"
#include "larder/backends/register_all.h"
#include "larder/base/status.h"
#include "larder/object/ids.h"
#include "larder/object/registries.h"
#include "larder/rpc/address.h"

namespace larder::cache_agent {
namespace {

constexpr int kMaxThreads = 256;
constexpr size_t kMaxPlace = 253;
constexpr size_t kMaxDriverName = 63;
constexpr size_t kMaxRunDir = 40;

absl::Status CheckAbsolute(const std::string& path) {
  if (path.starts_with('/')) return absl::OkStatus();
  return base::InvalidArgument("BAD_VALUE", "'{}' is not an absolute path", path);
}

// Without dots, doubled slashes and one at the end.
std::string Normal(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

bool IsWithin(const std::string& path, const std::string& directory) {
  return (Normal(path) + "/").starts_with(Normal(directory) + "/");
}

object::BackendRegistry Stores() {
  object::BackendRegistry backends("store");
  backends::RegisterAll(backends);
  return backends;
}

absl::Status CheckPlace(const std::string& name) {
  if (name.size() <= kMaxPlace && object::IsUtf8(name)) return absl::OkStatus();
  return base::InvalidArgument("BAD_VALUE", "a place's name has at most {} bytes of UTF-8", kMaxPlace);
}

absl::Status CheckAddresses(const std::string& text) { return ParseAddresses(text).status(); }

// A node's beats name its registration, which the tracker gives.
absl::Status CheckCluster(const Config& config) {
  if (config.peer_manager.empty() || !config.tracker.empty()) return absl::OkStatus();
  return base::InvalidArgument("MISSING_SETTING", "tracker: must be set with peer_manager");
}

// A DNS subdomain, as CSIDriver objects are named.
absl::Status CheckDriverName(const std::string& name) {
  const bool words = name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string::npos;
  if (words && name.size() <= kMaxDriverName && !name.starts_with('.') && !name.starts_with('-')) {
    return absl::OkStatus();
  }
  return base::InvalidArgument("BAD_VALUE", "'{}' is not a DNS name of at most {} bytes", name, kMaxDriverName);
}

// Paths that others say are compared with it to the byte.
absl::Status CheckNormal(const std::string& path) {
  LARDER_RETURN_IF_ERROR(CheckAbsolute(path));
  const std::string normal = Normal(path);
  if (path == normal) return absl::OkStatus();
  return base::InvalidArgument("BAD_VALUE", "'{}' must be written as '{}'", path, normal);
}

// Of directories that the agent owns, only the last part of the path is safe from links that it could be made to lay.
absl::Status CheckCsiDirectories(const Config& config) {
  if (config.identity != Identity::kCsi) return absl::OkStatus();
  for (const auto& [name, path] : {std::pair("socket_dir", config.socket_dir), std::pair("data_dir", config.data_dir),
                                   std::pair("csi.kubelet_dir", config.csi_kubelet_dir)}) {
    if (path.empty()) continue;
    if (!IsWithin(path, config.csi_run_dir) && !IsWithin(config.csi_run_dir, path)) continue;
    return base::InvalidArgument("BAD_VALUE", "{} '{}' and csi.run_dir '{}' must not lie in each other", name, path,
                                 config.csi_run_dir);
  }
  return absl::OkStatus();
}

// Sockets lie below it: DIR/pods/<32 digits>/control.sock, and beside that while they are bound.
absl::Status CheckRunDir(const std::string& path) {
  LARDER_RETURN_IF_ERROR(CheckNormal(path));
  if (path.size() <= kMaxRunDir) return absl::OkStatus();
  return base::InvalidArgument("BAD_VALUE", "'{}' is longer than {} bytes: the names of sockets below it must be short",
                               path, kMaxRunDir);
}

void DeclareGrant(config::Binder& binder, Grant& grant) {
  binder.Text("namespace", &grant.ns,
              {.help = "The namespace of the pods that are allowed something.",
               .required = true,
               .check = object::CheckNamespace,
               .reloadable = true});
  binder.Text("serviceAccount", &grant.service_account,
              {.help = "Their ServiceAccount; *: any of the namespace.", .required = true, .reloadable = true});
  binder.List("verbs", &grant.verbs,
              {.help = "What they may do: get, put, delete, list, pin.",
               .required = true,
               .check = CheckVerb,
               .reloadable = true});
  binder.List("on", &grant.on,
              {.help = "In which namespaces. Where their own is named, it holds instead of everything that pods may do "
                       "there else.",
               .required = true,
               .check = object::CheckNamespace,
               .reloadable = true});
}

void DeclareQuota(config::Binder& binder, Quota& quota) {
  binder.Bytes("memory", &quota.memory,
               {.help = "Memory that the namespace's objects may take; each counts its bytes and 1 KiB, and what its "
                        "clients still map of deleted ones counts, too. Write windows may take as much again. 0: as "
                        "default says.",
                .reloadable = true});
  binder.Bytes("disk", &quota.disk,
               {.help = "Disk space that the namespace's objects may take, counted likewise. 0: as default says.",
                .reloadable = true});
  binder.Integer(
      "leases", &quota.leases,
      {.help = "Leases that all clients of the namespace may hold together. 0: as default says.", .reloadable = true});
  binder.Integer("connections", &quota.connections,
                 {.help = "Clients of the namespace that may be connected. 0: as default says.", .reloadable = true});
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseAddresses(std::string_view text) {
  std::vector<std::string> addresses;
  if (text.ends_with(',')) return base::InvalidArgument("BAD_VALUE", "'{}' ends with a comma", text);
  while (!text.empty()) {
    const std::string_view address = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), address.size() + 1));
    LARDER_ASSIGN_OR_RETURN(const rpc::HostPort parsed, rpc::ParseHostPort(address));
    if (parsed.port == 0) return base::InvalidArgument("BAD_VALUE", "'{}' has no port", address);
    addresses.emplace_back(address);
  }
  return addresses;
}

void Declare(config::Binder& binder, Config& config) {
  binder.Text("node.name", &config.node_name, {.help = "This node's name; empty: the host's."});
  binder.Text("node.zone", &config.zone,
              {.help = "The zone that the node is in; empty: not known.", .check = CheckPlace});
  binder.Text("node.rack", &config.rack,
              {.help = "The rack that the node is in; empty: not known.", .check = CheckPlace});
  binder.Text(
      "tracker", &config.tracker,
      {.help = "Where the cluster's trackers answer (listen.grpc), HOST:PORT parted by commas. Empty: this node is "
               "alone, and acknowledges 'local' only.",
       .check = CheckAddresses});
  binder.Text(
      "peer_manager", &config.peer_manager,
      {.help = "Where the cluster's peer managers answer (listen.grpc), HOST:PORT parted by commas: this node tells "
               "each that it lives. Empty: none; the tracker is asked instead. Needs `tracker`.",
       .check = CheckAddresses});
  binder.Text("socket_dir", &config.socket_dir,
              {.help = "Directory of the sockets data.sock and control.sock, which pods mount; one agent serves it.",
               .required = true,
               .check = CheckAbsolute});
  binder.Text("data_dir", &config.data_dir,
              {.help = "Directory of what outlives the agent; one agent owns it. Needed by stores on disk.",
               .check = CheckAbsolute});
  binder.Choice(
      "identity", &config.identity, {{"open", Identity::kOpen}, {"cgroup", Identity::kCgroup}, {"csi", Identity::kCsi}},
      {.help = "How a caller's namespace is known. open: by its own word, which suits one machine of one "
               "user. cgroup: by the pod whose cgroup its process is in, as the kernel says; needs pods_file, "
               "and the node's pid namespace (hostPID). csi: by the volume of a pod that has the socket, as the "
               "kubelet says; the agent is the CSI driver, and begins as root."});
  binder.Text("pods_file", &config.pods_file,
              {.help = "File that says who this node's pods are, in YAML or JSON: below `pods` for each uid its "
                       "namespace, name and service_account. Read again when it changes.",
               .check = CheckAbsolute});
  binder.Text("csi.driver_name", &config.csi_driver_name,
              {.help = "The CSI driver's name, as the CSIDriver object and the volumes of pods have it.",
               .required = true,
               .check = CheckDriverName});
  binder.Text("csi.kubelet_dir", &config.csi_kubelet_dir,
              {.help = "The kubelet's directory (--root-dir), with pods and plugins_registry.",
               .required = true,
               .check = CheckNormal});
  binder.Text("csi.run_dir", &config.csi_run_dir,
              {.help = "Directory of the sockets of the driver and of pods, and of what is kept of them until the node "
                       "stops. The same path on the host: the kubelet connects there. One agent owns it.",
               .required = true,
               .check = CheckRunDir});
  binder.Items("grants", &config.grants, DeclareGrant);
  binder.Bytes("arena", &config.arena,
               {.help = "Memory shared with pods: objects and what is being written. Taken whole at start.",
                .min = 16 * base::kMiB});
  binder.Text("store", &config.store,
              {.help = "Where objects are kept. memory: in the arena, lost with the agent. file: below data_dir, found "
                       "again at start.",
               .required = true,
               .check = [](const std::string& name) { return Stores().Get(name).status(); },
               .choices = Stores().Names()});
  binder.Bytes("disk.max_bytes", &config.disk_max_bytes,
               {.help = "Disk space that objects may take below data_dir; 0: as much as there is."});
  binder.Time("lease_ttl", &config.lease_ttl,
              {.help = "How long a client may be silent before its leases end. A client that exits loses them at once.",
               .min = std::chrono::seconds(1),
               .max = std::chrono::hours(1)});
  binder.Integer("executor.threads", &config.executor_threads,
                 {.help = "Threads for large copies and for what waits for a disk.", .min = 1, .max = kMaxThreads});
  binder.Text("listen.pieces", &config.pieces,
              {.help = "Where other nodes fetch pieces of objects, if there is a tracker; HOST is a number.",
               .check = rpc::CheckHostPort});
  binder.Text(
      "pieces.advertise", &config.pieces_advertise,
      {.help = "What other nodes dial to fetch pieces; port 0: that of listen.pieces. Empty: listen.pieces, "
               "and where that is 0.0.0.0 or ::, the node's first address.",
       .check = [](const std::string& text) { return text.empty() ? absl::OkStatus() : rpc::CheckHostPort(text); }});
  binder.Bytes("pieces.rate_in", &config.pieces_rate_in,
               {.help = "Bytes a second that may come from other nodes; 0: no limit."});
  binder.Bytes("pieces.rate_out", &config.pieces_rate_out,
               {.help = "Bytes a second that may go to other nodes; 0: no limit."});
  binder.Each("quotas", &config.quotas, DeclareQuota, {.key = "namespace", .check_key = object::CheckNamespace});
  binder.Each("namespaces", &config.namespaces,
              [](config::Binder& entry, NamespaceSettings& settings) {
                entry.Flag(
                    "evict_last", &settings.evict_last,
                    {.help = "Drop objects that may have no other copy, too, the coldest first, when room is short or "
                             "the namespace's quota is used up. Otherwise what does not fit is refused.",
                     .reloadable = true});
              },
              {.key = "name", .check_key = object::CheckNamespace});
  binder.Check([&config] { return CheckIdentity(config); });
  binder.Check([&config] { return CheckCsiDirectories(config); });
  binder.Check([&config] { return CheckCluster(config); });
}

}  // namespace larder::cache_agent
