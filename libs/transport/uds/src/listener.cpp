#include "src/listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "larder/base/file.h"
#include "larder/base/status.h"

namespace larder::transport::uds {
namespace {

constexpr base::Duration kTick = std::chrono::milliseconds(100);
constexpr base::Duration kHelloLimit = std::chrono::seconds(1);
constexpr size_t kMaxUngreeted = 128;
constexpr ptrdiff_t kMaxUngreetedOfOne = 64;  // one process must not keep all others out
constexpr base::Duration kStallLimit = std::chrono::seconds(30);
constexpr base::Duration kRevokeLimit = std::chrono::seconds(5);

}  // namespace

UdsListener::UdsListener(const object::ListenSettings& settings)
    : server_{.settings = settings},
      path_(settings.address + "/" + std::string(kSocketName)),
      loop_([this] { CheckConnections(); }, kTick, *settings.clock) {
  server_.loop = &loop_;
  server_.from = settings.clock->Now();
  server_.offloaded = &offloaded_;
}

UdsListener::~UdsListener() { Stop(base::kNoDeadline); }

absl::Status UdsListener::Start() {
  LARDER_RETURN_IF_ERROR(base::MakeDirs(server_.settings.address));
  absl::StatusOr<base::UniqueFd> lock = base::LockFile(path_ + ".lock");
  if (!lock.ok()) {
    return base::Annotate(lock.status(), "another agent serves " + server_.settings.address);
  }
  lock_ = *std::move(lock);
  LARDER_ASSIGN_OR_RETURN(socket_, ListenAt(path_, server_.settings.socket_mode));
  LARDER_RETURN_IF_ERROR(loop_.Start());
  loop_.Post([this] {
    const absl::Status added = loop_.Add(
        socket_.get(), EPOLLIN, [this](uint32_t) { Accept(); }, kStrangers);
    if (!added.ok()) socket_.Reset();
  });
  return absl::OkStatus();
}

void UdsListener::Stop(base::Deadline) {
  if (!socket_) return;
  // Under our lock the path is ours.
  ::unlink(path_.c_str());
  loop_.Post([this] {
    loop_.Remove(socket_.get());
    while (!connections_.empty()) connections_.begin()->second->Close("");
  });
  // A copy or a disk write that has begun is waited for: it uses what our owner takes down next.
  offloaded_.Close(base::kNoDeadline);
  loop_.Stop();
  socket_.Reset();
  lock_.Reset();
}

// One at a time: the loop calls again as long as there are others, and sees to its connections in between.
void UdsListener::Accept() {
  const base::Duration now = BootNow();
  base::UniqueFd fd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) {
    if (errno == EMFILE || errno == ENFILE) {
      paused_ = true;
      loop_.Modify(socket_.get(), 0);
    }
    if (errno == EAGAIN) queue_empty_ = now;
    return;
  }
  absl::StatusOr<Caller> caller = CallerOf(fd.get(), {.since = queue_empty_, .until = BootNow()});
  if (!caller.ok()) return;
  object::TransportObserver* observer = server_.settings.observer;
  if (!AdmitStranger(caller->pid)) {
    if (observer != nullptr) observer->Denied("too_many");
    return;
  }
  auto connection =
      std::make_shared<Connection>(server_, std::move(fd), *std::move(caller), [this](Connection& closed) {
        if (server_.settings.observer != nullptr) server_.settings.observer->ConnectionClosed();
        connections_.erase(&closed);
      });
  connections_[connection.get()] = connection;
  strangers_.push_back(connection);
  if (observer != nullptr) observer->ConnectionOpened();
  if (!connection->Start().ok()) connection->Close("too_many");
}

bool UdsListener::AdmitStranger(int32_t pid) {
  std::erase_if(strangers_, [](const std::weak_ptr<Connection>& weak) {
    const std::shared_ptr<Connection> connection = weak.lock();
    return connection == nullptr || connection->greeted();
  });
  std::vector<int32_t> pids;
  for (const std::weak_ptr<Connection>& stranger : strangers_) pids.push_back(stranger.lock()->pid());
  if (pid != 0 && std::ranges::count(pids, pid) >= kMaxUngreetedOfOne) return false;
  // Many processes of one client could keep all others out for ever, if those that came first were to stay.
  if (pids.size() >= kMaxUngreeted) strangers_[OneTooMany(pids)].lock()->Close("too_many");
  return true;
}

void UdsListener::CheckConnections() {
  if (std::exchange(paused_, false)) loop_.Modify(socket_.get(), EPOLLIN);
  if (const base::Duration looked = BootNow(); QueueIsEmpty(socket_.get())) queue_empty_ = looked;
  const base::MonotonicTime now = server_.settings.clock->Now();
  std::vector<std::shared_ptr<Connection>> late, stalled, holding;
  std::vector<uint64_t> quarantined;
  if (server_.settings.arena != nullptr) quarantined = server_.settings.arena->Quarantined();
  std::ranges::sort(quarantined);
  for (const auto& [raw, connection] : connections_) {
    if (!connection->Revoke(quarantined, now, kRevokeLimit)) holding.push_back(connection);
    if (connection->Stalled(now, kStallLimit)) stalled.push_back(connection);
    if (!connection->greeted() && now - connection->since() > kHelloLimit) late.push_back(connection);
  }
  for (const auto& connection : late) connection->Close("hello_timeout");
  for (const auto& connection : stalled) connection->Close("slow");
  for (const auto& connection : holding) connection->Close("revoked");
}

}  // namespace larder::transport::uds
