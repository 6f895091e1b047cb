#include "src/tracker/quorum_append.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <latch>

#include "larder/base/mutex.h"
#include "larder/raft/rocks_log_store.h"
#include "larder/raft/tcp_transport.h"
#include "src/must.h"
#include "src/tracker/servers.h"

namespace larder::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);
constexpr uint16_t kPort = 7411;
constexpr uint64_t kLeader = 1;
constexpr raft::GroupId kGroup{1};

// A member's log, and its writing of one entry after the other.
class Log {
 public:
  explicit Log(const std::string& dir) : store_(Must(raft::OpenRocksLog({.dir = dir, .group = kGroup}))) {}
  void Append(std::string payload) {
    raft::LogWrite write;
    write.entries.push_back({.at = {.index = ++last_, .term = 1}, .payload = std::move(payload)});
    Must(store_->Write({&write, 1}));
  }

 private:
  std::unique_ptr<raft::LogStore> store_;
  uint64_t last_ = 0;
};

raft::TcpTransportOptions Options(uint64_t id, const std::string& listen) {
  raft::TcpTransportOptions options;
  options.listen = listen;
  options.cluster = "bench";
  options.node = std::to_string(id);
  options.self = {id};
  options.group = kGroup;
  options.receive = [](raft::MemberId, const std::string&) {};
  options.unreachable = [](raft::MemberId) {};
  return options;
}

}  // namespace

struct QuorumAppend::Leader {
  Leader(const std::string& dir, size_t entry_size) : log(dir), size(entry_size) {}
  Log log;
  size_t size;
  base::Mutex mutex;
  base::CondVar answered;
  uint64_t written = 0;
  uint64_t confirmed LARDER_GUARDED_BY(mutex) = 0;  // by one follower at least
  std::unique_ptr<raft::TcpTransport> transport;
};

QuorumAppend::QuorumAppend(const std::string& dir, size_t size) {
  std::filesystem::create_directory(dir);
  const std::string net = NewNet();
  const auto host = [&](uint64_t id) { return fmt::format("{}.{}", net, id); };
  const auto address = [&](uint64_t id) { return fmt::format("{}:{}", host(id), kPort); };
  leader_ = std::make_unique<Leader>(dir + "/1", size);
  raft::TcpTransportOptions options = Options(kLeader, address(kLeader));
  for (uint64_t id = kLeader + 1; id <= kLeader + 2; ++id) options.members[{id}] = address(id);
  options.receive = [leader = leader_.get()](raft::MemberId, const std::string& message) {
    uint64_t index = 0;
    std::from_chars(message.data(), message.data() + message.size(), index);
    base::MutexLock lock(leader->mutex);
    if (index <= leader->confirmed) return;
    leader->confirmed = index;
    leader->answered.NotifyOne();
  };
  for (const auto& [id, at] : options.members) {
    followers_.push_back(
        std::make_unique<Server>(std::vector<std::string>{"/proc/self/exe", kFollowFlag, std::to_string(id.value),
                                                          fmt::format("{}/{}", dir, id.value), at, address(kLeader)},
                                 kAnyCpu, [&] {
                                   const int fd = ConnectTcp(host(id.value), kPort);
                                   if (fd >= 0) ::close(fd);
                                   return fd >= 0;
                                 }));
  }
  leader_->transport = Must(raft::TcpTransport::Listen(std::move(options)));
}

QuorumAppend::~QuorumAppend() { leader_->transport->Stop(); }

void QuorumAppend::Append() {
  const std::string payload(leader_->size, 'x');
  for (uint64_t id = kLeader + 1; id <= kLeader + 2; ++id) leader_->transport->Send({id}, payload);
  leader_->log.Append(payload);
  const uint64_t index = ++leader_->written;
  const auto until = std::chrono::steady_clock::now() + kPatience;
  base::MutexLock lock(leader_->mutex);
  while (leader_->confirmed < index) {
    if (!leader_->answered.WaitUntil(leader_->mutex, until)) Die("no follower of the bare append answers");
  }
}

void QuorumAppend::Follow(const std::vector<std::string>& words) {
  const uint64_t id = std::stoull(words[0]);
  Log log(words[1]);
  uint64_t last = 0;
  std::unique_ptr<raft::TcpTransport> transport;
  std::latch listens(1);
  raft::TcpTransportOptions options = Options(id, words[2]);
  options.members[{kLeader}] = words[3];
  // On the transport's thread: there is nothing else that it could receive meanwhile.
  options.receive = [&](raft::MemberId, std::string message) {
    log.Append(std::move(message));
    listens.wait();
    transport->Send({kLeader}, std::to_string(++last));
  };
  transport = Must(raft::TcpTransport::Listen(std::move(options)));
  listens.count_down();
  while (true) ::pause();
}

}  // namespace larder::bench
