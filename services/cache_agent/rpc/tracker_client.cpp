#include "rpc/tracker_client.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "larder/base/backoff.h"
#include "larder/base/status.h"
#include "rpc/cluster_proto.h"

namespace larder::cache_agent {

namespace v1 = larder::tracker::v1;
using object::Done;
using object::Epoch;
using object::ObjectId;
using object::ObjectInfo;
using object::TrackedAs;

namespace {

constexpr base::Duration kFirstPause = std::chrono::milliseconds(50);
constexpr base::Duration kLongestPause = std::chrono::seconds(2);
// Between two looks at what is due, while somebody waits, and else.
constexpr base::Duration kSoon = std::chrono::milliseconds(20);
constexpr base::Duration kIdle = std::chrono::seconds(1);
constexpr size_t kMaxIds = 1000;

absl::Status Stopping() {
  return base::Error(absl::StatusCode::kUnavailable, "NO_TRACKER",
                     "this agent stops asking the tracker: it is stopping");
}

void Call(const Completions& completions) {
  for (const auto& completion : completions) completion();
}

std::string NameOf(const ObjectId& id) { return id.ns + '/' + id.key; }

absl::Status NoLink() {
  return base::Error(absl::StatusCode::kUnavailable, "NO_TRACKER", "there is no link to a tracker now");
}

absl::Status CheckIds(const std::vector<ObjectId>& ids) {
  if (ids.empty() || ids.size() > kMaxIds) {
    return base::InvalidArgument("BAD_BATCH", "{} objects asked for; 1 to {} are possible", ids.size(), kMaxIds);
  }
  for (const ObjectId& id : ids) {
    LARDER_RETURN_IF_ERROR(object::CheckNamespace(id.ns));
    LARDER_RETURN_IF_ERROR(object::CheckKey(id.key));
  }
  return absl::OkStatus();
}

Done<absl::StatusOr<v1::Result>> Simply(Done<absl::Status> done) {
  return [done = std::move(done)](const absl::StatusOr<v1::Result>& result) { done(StatusOf(result)); };
}
// Answers with what `read` finds in the result.
template <typename T>
Done<absl::StatusOr<v1::Result>> With(absl::StatusOr<T> (*read)(const absl::StatusOr<v1::Result>&),
                                      Done<absl::StatusOr<T>> done) {
  return [read, done = std::move(done)](const absl::StatusOr<v1::Result>& result) { done(read(result)); };
}

// There is no such copy to be given up, whoever ended it.
bool IsGone(const absl::Status& status) {
  const std::string reason = base::Reason(status);
  return reason == "DELETED" || reason == "SUPERSEDED" || reason == "EPOCH_STALE";
}

}  // namespace

TrackerClient::TrackerClient(std::vector<std::string> addresses, TrackerOptions options, DialTracker dial,
                             const base::Clock& clock, observe::Logger& log, NodeEvents events)
    : addresses_(std::move(addresses)),
      node_(options.node),
      lease_(options.lease),
      patience_(options.patience),
      dial_(std::move(dial)),
      clock_(clock),
      log_(log),
      conversation_(
          std::move(options),
          {.registered =
               [this, registered = std::move(events.registered)](const Registration& told) {
                 log_.Info("node registered with the tracker", {{"node", node_}, {"node_epoch", told.node_epoch}});
                 if (registered) registered(told);
               },
           .fenced = std::move(events.fenced)}),
      worker_("tracker-client", [this] { return Round(); }) {}

TrackerClient::~TrackerClient() { Stop(); }

void TrackerClient::Start() { worker_.Start(); }

void TrackerClient::Stop() {
  worker_.Stop();
  Completions completions;
  std::unique_ptr<TrackerLink> link;
  {
    base::MutexLock lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    completions = std::exchange(to_tell_, {});
    std::ranges::move(conversation_.GiveUpAll(Stopping()), std::back_inserter(completions));
    ++link_number_;
    link = std::move(link_);
  }
  Call(completions);
  link.reset();
}

// ---- what is asked

void TrackerClient::Put(const Question& question, Done<absl::Status> refused) {
  {
    base::MutexLock lock(mutex_);
    if (!stopped_) {
      if (const absl::Status status = question(conversation_, clock_.Now()); !status.ok()) {
        to_tell_.push_back([refused = std::move(refused), status] { refused(status); });
      }
      std::ranges::move(Proceed(), std::back_inserter(to_tell_));
      // The caller may hold locks that they take.
      if (!to_tell_.empty() || !awake_) Wake();
      return;
    }
  }
  refused(Stopping());
}

void TrackerClient::Ask(AskedCommand asked) {
  const auto done = asked.done;
  Put([&asked](TrackerConversation& conversation,
               base::MonotonicTime now) { return conversation.Ask(std::move(asked), now); },
      [done](const absl::Status& status) { done(status); });
}

void TrackerClient::Acquire(const ObjectId& id, bool overwrite, Done<absl::StatusOr<Epoch>> done) {
  Ask({.command = AcquireCommand(id, overwrite, lease_),
       .object = NameOf(id),
       .done = With(GrantedEpochOf, std::move(done))});
}
void TrackerClient::Seal(Epoch epoch, const ObjectInfo& info, Done<absl::StatusOr<TrackedAs>> done) {
  Ask({.command = SealCommand(epoch, info),
       .object = NameOf(info.id),
       .certain = true,
       .done = With(SealedAsOf, std::move(done))});
}
void TrackerClient::Publish(const ObjectInfo& info, bool overwrite, Done<absl::StatusOr<TrackedAs>> done) {
  Ask({.command = PublishCommand(info, overwrite),
       .object = NameOf(info.id),
       .certain = true,
       .done = With(SealedAsOf, std::move(done))});
}
void TrackerClient::Abandon(const ObjectId& id, Epoch epoch, Done<absl::Status> done) {
  Ask({.command = AbandonCommand(id, epoch), .object = NameOf(id), .stays = true, .done = Simply(std::move(done))});
}
void TrackerClient::Delete(const ObjectId& id, Done<absl::Status> done) {
  Ask({.command = DeleteCommand(id), .object = NameOf(id), .done = Simply(std::move(done))});
}
void TrackerClient::SetMeta(const ObjectId& id, Epoch epoch, const MetaChange& change, Done<absl::Status> done) {
  Ask({.command = MetaCommand(id, epoch, change), .object = NameOf(id), .done = Simply(std::move(done))});
}

void TrackerClient::GiveUp(const ObjectId& id, const TrackedAs& copy, Done<absl::Status> done) {
  GiveUp(id, copy, /*gone=*/true, std::move(done));
}
void TrackerClient::Offer(const ObjectId& id, const TrackedAs& copy, Done<absl::Status> done) {
  GiveUp(id, copy, /*gone=*/false, std::move(done));
}
void TrackerClient::GiveUp(const ObjectId& id, const TrackedAs& copy, bool gone, Done<absl::Status> done) {
  Ask({.command = GiveUpCommand(copy, gone),
       .object = NameOf(id),
       .done = [done = std::move(done)](const absl::StatusOr<v1::Result>& result) {
         const absl::Status status = StatusOf(result);
         done(IsGone(status) ? absl::OkStatus() : status);
       }});
}

void TrackerClient::AddCopy(const TrackedAs& copy, Done<absl::Status> done) {
  Ask({.command = AddCommand(copy), .certain = true, .done = Simply(std::move(done))});
}
void TrackerClient::ReportBad(const TrackedAs& copy, const std::string& node, uint64_t node_epoch, uint64_t version,
                              Done<absl::Status> done) {
  Ask({.command = ReportCommand(copy, node, node_epoch, version), .done = Simply(std::move(done))});
}

void TrackerClient::ConfirmBuckets(const std::vector<std::pair<uint8_t, uint64_t>>& sums,
                                   Done<absl::StatusOr<std::vector<uint8_t>>> done) {
  Ask({.command = ConfirmCommand(sums), .done = With(DifferingOf, std::move(done))});
}
void TrackerClient::SyncBucket(InventoryPage page, Done<absl::StatusOr<InventoryAnswer>> done) {
  Ask({.command = SyncCommand(page), .done = With(SyncedOf, std::move(done))});
}

void TrackerClient::GetInventory(Done<absl::StatusOr<object::InventorySums>> done) {
  v1::GetInventoryRequest request;
  request.set_node(node_);
  {
    base::MutexLock lock(mutex_);
    if (link_ != nullptr) {
      link_->GetInventory(std::move(request), patience_,
                          [done = std::move(done)](const absl::StatusOr<v1::GetInventoryResponse>& response) {
                            done(SumsOf(response));
                          });
      return;
    }
  }
  done(NoLink());
}

void TrackerClient::AskAlive(base::Duration timeout, Done<absl::StatusOr<Alive>> done) {
  {
    base::MutexLock lock(mutex_);
    if (const uint64_t node_epoch = conversation_.node_epoch(); link_ != nullptr && node_epoch != 0) {
      v1::NodeAliveRequest request;
      request.mutable_node()->set_node(node_);
      request.mutable_node()->set_epoch(node_epoch);
      link_->NodeAlive(std::move(request), timeout,
                       [this, node_epoch, link = link_number_,
                        done = std::move(done)](const absl::StatusOr<v1::NodeAliveResponse>& response) {
                         if (!response.ok()) {
                           OnAliveFailed(link, node_epoch, response.status());
                           return done(response.status());
                         }
                         done(Alive{node_epoch, std::chrono::milliseconds(response->session_ms())});
                       });
      return;
    }
  }
  done(NoLink());
}

void TrackerClient::OnAliveFailed(uint64_t link, uint64_t node_epoch, const absl::Status& why) {
  Completions completions;
  {
    base::MutexLock lock(mutex_);
    if (stopped_ || link != link_number_) return;
    conversation_.OnAliveFailed(node_epoch, why);
    completions = Proceed();
    if (conversation_.busy() && !awake_) Wake();
  }
  Call(completions);
}

void TrackerClient::ListNodes(v1::ListNodesRequest request, base::Duration timeout,
                              Done<absl::StatusOr<v1::ListNodesResponse>> done) {
  {
    base::MutexLock lock(mutex_);
    if (link_ != nullptr) return link_->ListNodes(std::move(request), timeout, std::move(done));
  }
  done(NoLink());
}

void TrackerClient::Locate(std::vector<ObjectId> ids, Done<absl::StatusOr<std::vector<ClusterObject>>> done) {
  const auto located = [done](const absl::StatusOr<std::vector<v1::LocatedObject>>& found) {
    if (!found.ok()) return done(found.status());
    std::vector<ClusterObject> objects;
    objects.reserve(found->size());
    for (const v1::LocatedObject& one : *found) objects.push_back(FromProto(one));
    done(std::move(objects));
  };
  Put(
      [&](TrackerConversation& conversation, base::MonotonicTime now) -> absl::Status {
        LARDER_RETURN_IF_ERROR(CheckIds(ids));
        return conversation.Locate(std::move(ids), now, located);
      },
      [done](const absl::Status& status) { done(status); });
}

void TrackerClient::List(const std::string& ns, const object::ListRequest& request,
                         Done<absl::StatusOr<ClusterPage>> done) {
  v1::ListRequest message;
  message.set_namespace_(ns);
  message.set_prefix(request.prefix);
  message.set_page_size(request.limit);
  message.set_page_token(request.after);  // a page's token is its last key
  Put([&](TrackerConversation& conversation,
          base::MonotonicTime now) { return conversation.List({.request = std::move(message), .done = done}, now); },
      [done](const absl::Status& status) { done(status); });
}

void TrackerClient::OnListed(const std::shared_ptr<TrackerConversation::ListQuestion>& question,
                             absl::StatusOr<v1::ListResponse> response) {
  Completions completions;
  bool stopped = false;
  {
    base::MutexLock lock(mutex_);
    stopped = stopped_;
    if (!stopped) {
      conversation_.OnListed(question, std::move(response), clock_.Now());
      completions = Proceed();
    }
  }
  if (stopped) question->done(Stopping());
  Call(completions);
}

// ---- the link

base::Duration TrackerClient::Round() {
  LeaveLink();
  Link();
  Completions completions;
  base::Duration wait = kIdle;
  {
    base::MutexLock lock(mutex_);
    completions = std::exchange(to_tell_, {});
    std::ranges::move(Proceed(), std::back_inserter(completions));
    awake_ = conversation_.busy();
    if (awake_) wait = kSoon;
  }
  Call(completions);
  return wait;
}

void TrackerClient::LeaveLink() {
  std::unique_ptr<TrackerLink> link;
  absl::Status why;
  bool answered = false;
  {
    base::MutexLock lock(mutex_);
    if (!link_over_) return;
    link_over_ = false;
    link = std::move(link_);
    why = std::exchange(link_end_, absl::OkStatus());
    conversation_.OnLinkLost(why);
    ++link_number_;
    answered = link_failures_ == 0;
    dial_at_ = clock_.Now() + base::BackoffDelay(link_failures_++, kFirstPause, kLongestPause, base::BackoffRandom());
  }
  link.reset();
  const std::string& address = addresses_[next_address_++ % addresses_.size()];
  // Once, not for each attempt that follows.
  if (answered) log_.Warning("tracker left, another is asked", {{"address", address}, {"why", why}});
}

void TrackerClient::Link() {
  uint64_t number = 0;
  {
    base::MutexLock lock(mutex_);
    if (link_ != nullptr || clock_.Now() < dial_at_) return;
    number = ++link_number_;
  }
  std::unique_ptr<TrackerLink> link =
      dial_(addresses_[next_address_ % addresses_.size()],
            {.received = [this, number](v1::StreamResponse response) { OnReceived(number, std::move(response)); },
             .ended = [this, number](const absl::Status& why) { OnEnded(number, why); }});
  base::MutexLock lock(mutex_);
  link_ = std::move(link);
  conversation_.OnLink(clock_.Now());
}

void TrackerClient::OnReceived(uint64_t link, v1::StreamResponse response) {
  Completions completions;
  {
    base::MutexLock lock(mutex_);
    if (link != link_number_) return;
    link_failures_ = 0;
    conversation_.OnReceived(std::move(response), clock_.Now());
    completions = Proceed();
  }
  Call(completions);
}

void TrackerClient::OnEnded(uint64_t link, const absl::Status& why) {
  base::MutexLock lock(mutex_);
  if (link != link_number_) return;
  link_over_ = true;
  link_end_ = why;
  Wake();
}

void TrackerClient::Wake() {
  awake_ = true;
  worker_.Wake();
}

Completions TrackerClient::Proceed() {
  TrackerConversation::Step step = conversation_.Next(clock_.Now());
  if (link_ != nullptr) {
    for (v1::StreamRequest& request : step.send) link_->Send(std::move(request));
    for (const auto& question : step.lists) {
      link_->List(
          question->request, question->deadline - clock_.Now(),
          [this, question](absl::StatusOr<v1::ListResponse> response) { OnListed(question, std::move(response)); });
    }
  }
  if (step.leave && !link_over_) {
    link_over_ = true;
    Wake();
  }
  return std::move(step.completions);
}

}  // namespace larder::cache_agent
