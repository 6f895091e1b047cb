#include "rpc/peer_manager_client.h"

#include <algorithm>
#include <utility>

#include "larder/base/backoff.h"
#include "larder/base/status.h"

namespace larder::cache_agent {

namespace pb = larder::peers::v1;

namespace {

constexpr base::Duration kFirstPause = std::chrono::milliseconds(100);
constexpr base::Duration kLongestPause = std::chrono::seconds(5);

bool DoubtsRegistration(const absl::Status& why) {
  const std::string reason = base::Reason(why);
  return reason == "NODE_FENCED" || reason == "NODE_EPOCH_STALE" || reason == "INCARNATION_STALE";
}

}  // namespace

PeerManagerClient::PeerManagerClient(std::string address, pb::Hello who, const FetchBoard& board, DialPeerManager dial,
                                     const base::Clock& clock, observe::Logger& log, Events events)
    : address_(std::move(address)),
      board_(board),
      dial_(std::move(dial)),
      clock_(clock),
      log_(log),
      events_(std::move(events)),
      conversation_(who),
      joins_(who.node()) {}

PeerManagerClient::~PeerManagerClient() { Stop(); }

void PeerManagerClient::Stop() {
  std::unique_ptr<PeerManagerLink> link;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    ++link_number_;
    conversation_.OnLinkLost();
    joins_.OnLinkLost();
    link = std::move(link_);
  }
  link.reset();
}

base::Duration PeerManagerClient::Round(uint64_t node_epoch, const NodeRoom& room) {
  const base::MonotonicTime now = clock_.BootNow();
  LeaveLink(now);
  Link(now);
  base::MutexLock lock(mutex_);
  if (link_ == nullptr) return std::max(dial_at_ - now, base::Duration(0));
  PeerManagerConversation::Step step = conversation_.Next(now, node_epoch, room);
  if (step.send) link_->Send(*std::move(step.send));
  if (!step.leave) return std::min(step.again, JoinSwarms(now, node_epoch));
  over_ = true;
  why_over_ = base::Error(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER", "it answered nothing for too long");
  return base::Duration(0);
}

void PeerManagerClient::LeaveLink(base::MonotonicTime now) {
  std::unique_ptr<PeerManagerLink> link;
  absl::Status why;
  bool answered = false;
  {
    base::MutexLock lock(mutex_);
    if (!std::exchange(over_, false)) return;
    ++link_number_;
    link = std::move(link_);
    why = std::exchange(why_over_, absl::OkStatus());
    answered = failures_ == 0;
    conversation_.OnLinkLost();
    joins_.OnLinkLost();
    dial_at_ = now + base::BackoffDelay(failures_++, kFirstPause, kLongestPause, base::BackoffRandom());
  }
  link.reset();
  // Once, not for each attempt that follows.
  if (answered) log_.Warning("peer manager left", {{"address", address_}, {"why", why}});
}

void PeerManagerClient::Link(base::MonotonicTime now) {
  uint64_t number = 0;
  {
    base::MutexLock lock(mutex_);
    if (stopped_ || link_ != nullptr || now < dial_at_) return;
    number = ++link_number_;
  }
  std::unique_ptr<PeerManagerLink> link = dial_(
      address_, {.received = [this, number](const pb::SessionResponse& response) { OnReceived(number, response); },
                 .ended = [this, number](const absl::Status& why) { OnEnded(number, why); }});
  base::MutexLock lock(mutex_);
  link_ = std::move(link);
  conversation_.OnLink();
}

void PeerManagerClient::OnReceived(uint64_t link, const pb::SessionResponse& response) {
  std::optional<PeerManagerConversation::Answer> answer;
  bool first = false;
  {
    base::MutexLock lock(mutex_);
    if (link != link_number_) return;
    first = !conversation_.connected();
    answer = conversation_.OnReceived(response);
    if (answer) failures_ = 0;
  }
  if (!answer) return;
  if (first) log_.Info("peer manager answers", {{"address", address_}, {"leads", answer->leads}});
  events_.answered(*answer);
}

void PeerManagerClient::OnEnded(uint64_t link, const absl::Status& why) {
  {
    base::MutexLock lock(mutex_);
    if (link != link_number_) return;
    over_ = true;
    why_over_ = why;
  }
  if (DoubtsRegistration(why)) events_.doubted();
  events_.wake();
}

base::Duration PeerManagerClient::JoinSwarms(base::MonotonicTime now, uint64_t node_epoch) {
  const base::Duration session = conversation_.session();
  if (!conversation_.connected()) return session;
  JoinConversation::Step step = joins_.Next(now, node_epoch, session, board_);
  if (!step.send) return step.again;
  const uint64_t sequence = step.send->sequence();
  link_->Join(*std::move(step.send), session / 2,
              [this, link = link_number_, sequence](const absl::StatusOr<pb::JoinResponse>& answer) {
                OnJoined(link, sequence, answer);
              });
  return step.again;
}

void PeerManagerClient::OnJoined(uint64_t link, uint64_t sequence, const absl::StatusOr<pb::JoinResponse>& answer) {
  {
    base::MutexLock lock(mutex_);
    if (link != link_number_) return;
    const bool open = joins_.OnAnswered(sequence, answer, clock_.BootNow());
    if (!open && answer.ok()) return;
  }
  if (answer.ok() && answer->swarms_size() > 0) events_.joined(*answer);
  events_.wake();  // another call is due
}

bool PeerManagerClient::connected() const {
  base::MutexLock lock(mutex_);
  return conversation_.connected();
}

bool PeerManagerClient::leads() const {
  base::MutexLock lock(mutex_);
  return conversation_.leads();
}

void PeerManagerClient::ListNodes(pb::ListNodesRequest request, base::Duration timeout,
                                  object::Done<absl::StatusOr<pb::ListNodesResponse>> done) {
  {
    base::MutexLock lock(mutex_);
    if (conversation_.connected()) return link_->ListNodes(std::move(request), timeout, std::move(done));
  }
  done(base::Error(absl::StatusCode::kUnavailable, "NO_PEER_MANAGER", "peer manager {} does not answer", address_));
}

}  // namespace larder::cache_agent
