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
    : server_{.settings = settings}, loop_([this] { return CheckConnections(); }, kTick, *settings.clock) {
  server_.loop = &loop_;
  server_.from = settings.clock->Now();
  server_.offloaded = &offloaded_;
}

UdsListener::~UdsListener() { Stop(base::kNoDeadline); }

absl::StatusOr<UdsListener::EntrancePtr> UdsListener::Bind(object::Door door) {
  auto entrance = std::make_shared<Entrance>();
  entrance->path = door.address + "/" + std::string(kSocketName);
  LARDER_ASSIGN_OR_RETURN(entrance->socket, ListenAt(entrance->path, door.socket_mode));
  entrance->door = std::move(door);
  return entrance;
}

absl::Status UdsListener::Start() {
  const object::ListenSettings& settings = server_.settings;
  LARDER_RETURN_IF_ERROR(base::MakeDirs(settings.address));
  absl::StatusOr<base::UniqueFd> lock = base::LockFile(settings.address + "/" + std::string(kSocketName) + ".lock");
  if (!lock.ok()) return base::Annotate(lock.status(), "another agent serves " + settings.address);
  lock_ = *std::move(lock);
  LARDER_ASSIGN_OR_RETURN(first_, Bind({.address = settings.address,
                                        .identify = settings.identify,
                                        .tokens = settings.tokens,
                                        .socket_mode = settings.socket_mode}));
  LARDER_RETURN_IF_ERROR(loop_.Start());
  started_ = true;
  loop_.Post([this] { Open(first_).IgnoreError(); });
  return absl::OkStatus();
}

void UdsListener::OnLoop(const std::function<void()>& task) {
  base::Mutex mutex;
  base::CondVar changed;
  bool done = false;
  loop_.Post([&] {
    task();
    base::MutexLock lock(mutex);
    done = true;
    changed.NotifyAll();
  });
  base::MutexLock lock(mutex);
  while (!done) changed.Wait(mutex);
}

absl::Status UdsListener::OpenDoor(object::Door door) {
  LARDER_ASSIGN_OR_RETURN(const EntrancePtr entrance, Bind(std::move(door)));
  absl::Status opened;
  OnLoop([&] {
    entrance->as_pid = --last_door_;  // no process has such a number
    entrance->strangers = std::hash<std::string>()(entrance->path);
    opened = Open(entrance);
    if (opened.ok()) doors_[entrance->door.address] = entrance;
  });
  if (!opened.ok()) ::unlink(entrance->path.c_str());
  return opened;
}

void UdsListener::CloseDoor(const std::string& address) {
  OnLoop([&] {
    const auto found = doors_.find(address);
    if (found == doors_.end()) return;
    Close(*found->second);
    doors_.erase(found);
  });
}

void UdsListener::RecheckDoors() {
  OnLoop([&] {
    std::vector<std::shared_ptr<Connection>> refused;
    for (const auto& [raw, connection] : connections_) {
      if (&connection->entrance() != first_.get() && !connection->StillAllowed()) refused.push_back(connection);
    }
    for (const auto& connection : refused) connection->Close("denied");
  });
}

absl::Status UdsListener::Open(const EntrancePtr& entrance) {
  absl::Status added = loop_.Add(
      entrance->socket.get(), EPOLLIN, [this, entrance](uint32_t) { Accept(entrance); }, entrance->strangers);
  if (!added.ok()) entrance->socket.Reset();
  return added;
}

void UdsListener::Close(Entrance& entrance) {
  // By our lock, or our owner's, the path is ours.
  ::unlink(entrance.path.c_str());
  loop_.Remove(entrance.socket.get());
  std::vector<std::shared_ptr<Connection>> leaving;
  for (const auto& [raw, connection] : connections_) {
    if (&connection->entrance() == &entrance) leaving.push_back(connection);
  }
  for (const auto& connection : leaving) connection->Close("");
  entrance.socket.Reset();
}

void UdsListener::Stop(base::Deadline) {
  if (!started_) return;
  OnLoop([this] {
    for (const auto& [address, entrance] : doors_) Close(*entrance);
    doors_.clear();
    Close(*first_);
  });
  // A copy or a disk write that has begun is waited for: it uses what our owner takes down next.
  offloaded_.Close(base::kNoDeadline);
  loop_.Stop();
  lock_.Reset();
  started_ = false;
}

// One at a time: the loop calls again as long as there are others, and sees to its connections in between.
void UdsListener::Accept(const EntrancePtr& entrance) {
  const base::Duration now = BootNow();
  base::UniqueFd fd(::accept4(entrance->socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) {
    if (errno == EMFILE || errno == ENFILE) {
      paused_ = true;
      loop_.Modify(entrance->socket.get(), 0);
    }
    if (errno == EAGAIN) entrance->queue_empty = now;
    return;
  }
  absl::StatusOr<Caller> caller = CallerOf(fd.get(), {.since = entrance->queue_empty, .until = BootNow()});
  if (!caller.ok()) return;
  object::TransportObserver* observer = server_.settings.observer;
  const size_t most = entrance->door.max_connections;
  if ((most != 0 && entrance->connections >= most) ||
      !AdmitStranger(entrance->as_pid != 0 ? entrance->as_pid : caller->pid)) {
    if (observer != nullptr) observer->Denied("too_many");
    return;
  }
  auto connection = std::make_shared<Connection>(server_, entrance, std::move(fd), *std::move(caller),
                                                 [this, entrance](Connection& closed) {
                                                   --entrance->connections;
                                                   if (server_.settings.observer != nullptr) {
                                                     server_.settings.observer->ConnectionClosed();
                                                   }
                                                   connections_.erase(&closed);
                                                 });
  ++entrance->connections;
  connections_[connection.get()] = connection;
  strangers_.push_back(connection);
  if (observer != nullptr) observer->ConnectionOpened();
  if (!connection->Start().ok()) connection->Close("too_many");
}

bool UdsListener::AdmitStranger(int32_t stranger) {
  std::erase_if(strangers_, [](const std::weak_ptr<Connection>& weak) {
    const std::shared_ptr<Connection> connection = weak.lock();
    return connection == nullptr || connection->greeted();
  });
  std::vector<int32_t> known;
  for (const std::weak_ptr<Connection>& other : strangers_) known.push_back(other.lock()->stranger());
  if (stranger != 0 && std::ranges::count(known, stranger) >= kMaxUngreetedOfOne) return false;
  // Many processes of one client could keep all others out for ever, if those that came first were to stay.
  if (known.size() >= kMaxUngreeted) strangers_[OneTooMany(known)].lock()->Close("too_many");
  return true;
}

bool UdsListener::CheckConnections() {
  const bool paused = std::exchange(paused_, false);
  const auto look = [&](Entrance& entrance) {
    if (paused) loop_.Modify(entrance.socket.get(), EPOLLIN);
    if (const base::Duration looked = BootNow(); QueueIsEmpty(entrance.socket.get())) entrance.queue_empty = looked;
  };
  if (first_ != nullptr && first_->socket) look(*first_);
  for (const auto& [address, entrance] : doors_) look(*entrance);
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
  return !connections_.empty() || !KernelKeepsCallers();
}

}  // namespace larder::transport::uds
