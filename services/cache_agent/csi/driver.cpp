#include "csi/driver.h"

#include <chrono>
#include <utility>

#include "csi/volume_store.h"
#include "larder/base/file.h"
#include "larder/base/status.h"

namespace larder::cache_agent::csi {
namespace {

constexpr base::Duration kSweepPause = std::chrono::seconds(15);
// Publishing is a few milliseconds, and the mounter does one thing at a time; but a volume whose doors are slow to
// close must not hold up the others.
constexpr int kThreads = 8;
constexpr unsigned kForKubelet = 0600;  // which is root

std::string SocketOf(const std::string& run_dir) { return RunDirs(run_dir).csi + "/csi.sock"; }

DriverInfo WithEndpoint(DriverInfo info, const std::string& run_dir) {
  info.endpoint = SocketOf(run_dir);
  return info;
}

}  // namespace

Driver::Driver(Parts parts)
    : parts_(std::move(parts)),
      info_(WithEndpoint(parts_.info, parts_.run_dir)),
      store_(std::make_unique<DiskVolumeStore>(RunDirs(parts_.run_dir).state, RunDirs(parts_.run_dir).pods)),
      volumes_(*store_, *parts_.doors, *parts_.privileges->mounter, *parts_.clock, *parts_.log),
      executor_("larder-csi", kThreads),
      node_(info_, volumes_, executor_, *parts_.metrics, *parts_.clock),
      registration_(info_, parts_.registered, *parts_.log),
      server_({.unix_path = info_.endpoint, .unix_mode = kForKubelet}, *parts_.log),
      sweeper_("larder-csisweep", [this] {
        parts_.metrics->OrphansRemoved(volumes_.Sweep());
        parts_.metrics->Volumes(volumes_.size());
        return kSweepPause;
      }) {}

Driver::~Driver() { stops_.Run(base::kNoDeadline); }

absl::Status Driver::Start() {
  absl::StatusOr<base::UniqueFd> lock = base::LockFile(parts_.run_dir + "/agent.lock");
  if (!lock.ok()) return base::Annotate(lock.status(), "csi.run_dir " + parts_.run_dir);
  lock_ = *std::move(lock);
  LARDER_RETURN_IF_ERROR(volumes_.Restore());
  parts_.metrics->Volumes(volumes_.size());
  server_.Add(identity_);
  server_.Add(node_);
  // What has begun is done, though its caller is gone; nothing new comes.
  stops_.Push("csi executor", [this](base::Deadline) { executor_.Stop(); });
  LARDER_RETURN_IF_ERROR(server_.Start());
  // The kubelet asks again whatever was not answered.
  stops_.Push("csi socket", [this](base::Deadline) { server_.Stop(base::Deadline()); });
  sweeper_.Start();
  stops_.Push("csi sweeper", [this](base::Deadline) { sweeper_.Stop(); });
  registrar_ = std::make_unique<rpc::Server>(
      rpc::ServerOptions{.listening = std::move(parts_.privileges->registration), .reflection = false}, *parts_.log);
  registrar_->Add(registration_);
  LARDER_RETURN_IF_ERROR(registrar_->Start());
  stops_.Push("registration", [this](base::Deadline) { registrar_->Stop(base::Deadline()); });
  LARDER_RETURN_IF_ERROR(parts_.privileges->mounter->Register());
  stops_.Push("registration socket", [this](base::Deadline) {
    const absl::Status gone = parts_.privileges->mounter->Unregister();
    if (!gone.ok()) parts_.log->Error("the registration socket stays", {{"error", gone}});
  });
  return absl::OkStatus();
}

}  // namespace larder::cache_agent::csi
