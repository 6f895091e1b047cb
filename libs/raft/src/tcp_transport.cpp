#include "larder/raft/tcp_transport.h"

#include <map>
#include <utility>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "src/tcp_receiver.h"
#include "src/tcp_sender.h"

namespace larder::raft {
namespace {

class Endpoint final : public TcpTransport {
 public:
  explicit Endpoint(TcpTransportOptions options) : options_(std::move(options)) {}
  ~Endpoint() override { Stop(); }

  absl::Status Start();
  // The sender tells of what it drops.
  void Send(MemberId to, std::string message) override { (void)Queue(to, FrameKind::kMessage, std::move(message)); }
  absl::Status SendApplication(MemberId to, std::string bytes) override {
    if (Queue(to, FrameKind::kApplication, std::move(bytes))) return absl::OkStatus();
    return base::Error(absl::StatusCode::kResourceExhausted, "RAFT_BUSY",
                       "more than {} are on their way to member {} (try again)",
                       base::FormatBytes(options_.application_limit), to.value);
  }
  std::string address() const override { return receiver_->address(); }
  void SetMember(MemberId id, std::string address) override LARDER_EXCLUDES(mutex_);
  void RemoveMember(MemberId id) override LARDER_EXCLUDES(mutex_);
  void Stop() override LARDER_EXCLUDES(mutex_);

 private:
  // False if there is no room. To who is no member, it is lost.
  bool Queue(MemberId to, FrameKind kind, std::string payload) LARDER_EXCLUDES(mutex_);

  const TcpTransportOptions options_;
  std::unique_ptr<TcpReceiver> receiver_;
  base::Mutex mutex_;
  bool stopped_ LARDER_GUARDED_BY(mutex_) = false;
  std::map<MemberId, std::unique_ptr<TcpSender>> senders_ LARDER_GUARDED_BY(mutex_);
  // Ending; joined at Stop, so that nobody waits for a look-up of theirs before.
  std::vector<std::unique_ptr<TcpSender>> removed_ LARDER_GUARDED_BY(mutex_);
};

absl::Status Endpoint::Start() {
  LARDER_ASSIGN_OR_RETURN(receiver_, TcpReceiver::Start(options_));
  for (const auto& [id, address] : options_.members) SetMember(id, address);
  return absl::OkStatus();
}

bool Endpoint::Queue(MemberId to, FrameKind kind, std::string payload) {
  base::MutexLock lock(mutex_);
  const auto it = senders_.find(to);
  return it == senders_.end() || it->second->Send(kind, std::move(payload));
}

void Endpoint::SetMember(MemberId id, std::string address) {
  base::MutexLock lock(mutex_);
  if (stopped_ || id == options_.self) return;
  if (const auto it = senders_.find(id); it != senders_.end()) {
    it->second->SetAddress(std::move(address));
    return;
  }
  senders_.emplace(id, std::make_unique<TcpSender>(options_, id, std::move(address)));
}

void Endpoint::RemoveMember(MemberId id) {
  base::MutexLock lock(mutex_);
  const auto it = senders_.find(id);
  if (it == senders_.end()) return;
  it->second->BeginStop();
  removed_.push_back(std::move(it->second));
  senders_.erase(it);
}

void Endpoint::Stop() {
  if (receiver_ != nullptr) receiver_->Stop();
  std::vector<std::unique_ptr<TcpSender>> ending;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    ending.swap(removed_);
    for (auto& [id, sender] : senders_) ending.push_back(std::move(sender));
    senders_.clear();
  }
  // Without the lock, which a callback may be waiting for.
  for (const auto& sender : ending) sender->BeginStop();
  ending.clear();
}

}  // namespace

absl::StatusOr<std::unique_ptr<TcpTransport>> TcpTransport::Listen(TcpTransportOptions options) {
  auto transport = std::make_unique<Endpoint>(std::move(options));
  LARDER_RETURN_IF_ERROR(transport->Start());
  return transport;
}

}  // namespace larder::raft
