#include "rpc/tracker_conversation.h"

#include <algorithm>
#include <utility>

#include "larder/base/backoff.h"
#include "larder/base/status.h"
#include "rpc/cluster_proto.h"

namespace larder::cache_agent {

namespace v1 = larder::tracker::v1;

namespace {

constexpr base::Duration kFirstPause = std::chrono::milliseconds(20);
constexpr base::Duration kLongestPause = std::chrono::seconds(5);
// Between two looks at all who wait for whose time is over.
constexpr base::Duration kBetweenLooks = std::chrono::milliseconds(10);

// The number of a request on the stream says what it is, too.
enum Kind : uint64_t { kHello = 0, kCommands = 1, kLocate = 2, kProbe = 3 };
uint64_t NumberOf(Kind kind, uint64_t number) { return number << 2 | kind; }

absl::Status Busy() {
  return base::Error(absl::StatusCode::kResourceExhausted, "TRACKER_BUSY",
                     "too much waits for the tracker on this node (try again later)");
}

// Members answer this without asking each other.
v1::StreamRequest Probe() {
  v1::StreamRequest request;
  request.set_number(NumberOf(kProbe, 0));
  v1::LocateRequest& locate = *request.mutable_locate();
  *locate.add_objects() = ToProto({.ns = "larder", .key = "probe"});
  locate.set_stale_ok(true);
  return request;
}

}  // namespace

TrackerConversation::TrackerConversation(TrackerOptions options, NodeEvents events)
    : options_(std::move(options)),
      events_(std::move(events)),
      commands_(options_.commands, *this),
      locates_(options_.locates) {}

// ---- questions

absl::Status TrackerConversation::Ask(AskedCommand asked, base::MonotonicTime now) {
  // What ends a right is taken in any case: there are no more of these than rights.
  if (commands_.full() && !asked.stays) return Busy();
  if (asked.command.has_abandon()) rights_.erase(asked.command.abandon().epoch());
  asked.deadline = now + options_.patience;
  expire_at_ = std::min(expire_at_, asked.deadline);
  commands_.Add(std::move(asked));
  return absl::OkStatus();
}

absl::Status TrackerConversation::Locate(std::vector<object::ObjectId> ids, base::MonotonicTime now,
                                         LocateBatches::Located done) {
  if (locates_.full()) return Busy();
  expire_at_ = std::min(expire_at_, now + options_.patience);
  locates_.Add(std::move(ids), now + options_.patience, std::move(done));
  return absl::OkStatus();
}

absl::Status TrackerConversation::List(ListQuestion question, base::MonotonicTime now) {
  if (open_lists_ >= options_.lists) return Busy();
  question.deadline = now + options_.patience;
  expire_at_ = std::min(expire_at_, question.deadline);
  ++open_lists_;
  lists_.push_back(std::make_shared<ListQuestion>(std::move(question)));
  return absl::OkStatus();
}

// ---- a link

void TrackerConversation::OnLink(base::MonotonicTime now) {
  linked_ = true;
  quiet_since_ = now;
}

void TrackerConversation::OnLinkLost(const absl::Status& why) {
  linked_ = leaving_ = probing_ = hello_sent_ = false;
  commands_.OnLinkLost();
  locates_.OnLinkLost();
  if (!why.ok()) trouble_ = why;
}

bool TrackerConversation::IsDead(base::MonotonicTime now, Step& step) {
  if (in_flight() == 0 || now - quiet_since_ < options_.silence) return false;
  if (probing_) {
    trouble_ = absl::OkStatus();
    return true;
  }
  probing_ = true;
  quiet_since_ = now;
  step.send.push_back(Probe());
  return false;
}

void TrackerConversation::Note(const absl::Status& failure) {
  if (!absl::IsUnavailable(failure)) return;
  trouble_ = failure;
  const std::string reason = base::Reason(failure);
  // It may be cut off where others are not.
  if (reason == "STOPPING" || reason == "TRACKER_NO_QUORUM") leaving_ = true;
}

void TrackerConversation::OnReceived(v1::StreamResponse response, base::MonotonicTime now) {
  quiet_since_ = now;
  probing_ = false;
  const uint64_t kind = response.number() & 3;
  if (response.has_failure()) {
    Note(FromProto(response.failure()));
  } else if (kind != kProbe) {
    trouble_ = absl::OkStatus();
  }
  const uint64_t number = response.number() >> 2;
  OnAnswer(kind, number, std::move(response), now);
}

void TrackerConversation::OnAnswer(uint64_t kind, uint64_t number, v1::StreamResponse response,
                                   base::MonotonicTime now) {
  const absl::Status failure = response.has_failure() ? FromProto(response.failure()) : absl::OkStatus();
  if (kind == kHello) return OnHandshake(response, now);
  if (kind == kCommands && failure.ok()) return commands_.OnApplied(number, response.applied(), completions_);
  if (kind == kCommands) return commands_.OnFailure(number, failure, now, completions_);
  if (kind == kLocate && failure.ok()) {
    return locates_.OnLocated(number, std::move(*response.mutable_located()), completions_);
  }
  if (kind == kLocate) locates_.OnFailure(number, failure, now, completions_);
}

// ---- registration and session

void TrackerConversation::SayHello(base::MonotonicTime now, Step& step) {
  if (Registered() || hello_sent_ || now < hello_not_before_) return;
  v1::StreamRequest request;
  request.set_number(NumberOf(kHello, 0));
  // Without a request id: a repeat opens another session, and registers anew, before anything else is said in either.
  v1::ApplyRequest& apply = *request.mutable_apply();
  if (session_ == 0) apply.add_commands()->mutable_open_session();
  if (node_epoch_ == 0) {
    v1::RegisterNode& node = *apply.add_commands()->mutable_register_node();
    node.set_node(options_.node);
    node.set_incarnation(options_.incarnation);
    node.set_address(options_.piece_address);
    node.set_zone(options_.zone);
    node.set_rack(options_.rack);
    node.set_offered_piece_key(options_.offered_piece_key);
  }
  hello_sent_ = true;
  step.send.push_back(std::move(request));
}

void TrackerConversation::OnHandshake(const v1::StreamResponse& response, base::MonotonicTime now) {
  hello_sent_ = false;
  for (const v1::Result& result : response.applied().results()) {
    if (result.has_session_opened()) session_ = result.session_opened().session();
    if (result.has_refusal()) trouble_ = FromProto(result.refusal());
    if (!result.has_node_registered()) continue;
    const v1::NodeRegistered& registered = result.node_registered();
    node_epoch_ = registered.node_epoch();
    was_registered_ = true;
    rights_.clear();
    if (!events_.registered) continue;
    completions_.push_back(
        [this, told = Registration{.node_epoch = registered.node_epoch(),
                                   .piece_key = registered.piece_key(),
                                   .piece_key_id = registered.piece_key_id()}] { events_.registered(told); });
  }
  if (Registered()) {
    hello_failures_ = 0;
    return;
  }
  hello_not_before_ = now + base::BackoffDelay(hello_failures_++, kFirstPause, kLongestPause, base::BackoffRandom());
}

void TrackerConversation::EndRegistration() {
  if (node_epoch_ == 0) return;
  if (events_.fenced) completions_.push_back([this, epoch = node_epoch_] { events_.fenced(epoch); });
  node_epoch_ = 0;
  rights_.clear();
}

void TrackerConversation::OnAliveFailed(uint64_t node_epoch, const absl::Status& why) {
  const std::string reason = base::Reason(why);
  if (reason == "NODE_FENCED") {
    if (node_epoch == node_epoch_) EndRegistration();
    return;
  }
  if (!linked_) return;
  Note(why);
  // Nobody answered at all: another tracker may.
  if (reason.empty() && (absl::IsUnavailable(why) || absl::IsDeadlineExceeded(why))) leaving_ = true;
}

void TrackerConversation::OnSessionLost(uint64_t session) {
  if (session == session_) session_ = 0;
}

void TrackerConversation::OnResult(const AskedCommand& asked, const v1::Result& result) {
  if (result.refusal().reason() == "NODE_FENCED" && ActorEpoch(asked.command) == node_epoch_) EndRegistration();
  if (asked.command.has_seal()) rights_.erase(asked.command.seal().epoch());
  if (!result.has_create_granted()) return;
  const object::Epoch epoch{result.create_granted().epoch()};
  if (asked.done) {
    if (rights_.empty()) renew_at_ = {};
    if (ActorEpoch(asked.command) == node_epoch_) rights_.insert(epoch.value);
    return;
  }
  // Granted to nobody: it would live for as long as others of this node are renewed.
  const v1::ObjectId& id = asked.command.acquire_create().object();
  commands_.Add({.command = AbandonCommand({.ns = id.namespace_(), .key = id.key()}, epoch),
                 .object = asked.object,
                 .stays = true});
}

void TrackerConversation::Renew(base::MonotonicTime now) {
  if (rights_.empty() || now < renew_at_) return;
  // The first was granted for the whole time just now.
  const bool first = renew_at_ == base::MonotonicTime{};
  renew_at_ = now + options_.lease / 3;
  if (first) return;
  expire_at_ = std::min(expire_at_, renew_at_);
  commands_.Add({.command = RenewCommand(options_.lease), .deadline = renew_at_});
}

// ---- lists

void TrackerConversation::OnListed(const std::shared_ptr<ListQuestion>& question,
                                   absl::StatusOr<v1::ListResponse> response, base::MonotonicTime now) {
  const auto tell = [&](absl::StatusOr<ClusterPage> page) {
    --open_lists_;
    completions_.push_back([question, page = std::move(page)] { question->done(page); });
  };
  if (!response.ok()) {
    Note(response.status());
    const std::string reason = base::Reason(response.status());
    if (!reason.empty() && reason != "STOPPING" && reason != "LEADER_CHANGED") return tell(response.status());
    lists_not_before_ = now + kFirstPause;
    expire_at_ = std::min(expire_at_, question->deadline);
    lists_.push_back(question);
    return;
  }
  ClusterPage page{.more = !response->next_page_token().empty()};
  for (const v1::ListEntry& entry : response->entries()) {
    if (entry.object().has_sealed()) page.objects.push_back(SealedInfo(entry.object()));
  }
  if (!page.more || !page.objects.empty()) return tell(std::move(page));
  // All of them are being created: who asked could not go on behind any.
  question->request.set_page_token(response->next_page_token());
  lists_.push_back(question);
}

// ---- time

TrackerConversation::Step TrackerConversation::Next(base::MonotonicTime now) {
  Step step;
  if (now >= expire_at_) Expire(now, Nobody());
  if (linked_) step.leave = (leaving_ && in_flight() == 0) || IsDead(now, step);
  if (linked_ && !leaving_ && !step.leave) {
    const bool idle = in_flight() == 0;
    SayHello(now, step);
    if (Registered()) {
      Renew(now);
      v1::NodeRef actor;
      actor.set_node(options_.node);
      actor.set_epoch(node_epoch_);
      while (auto request = commands_.Next(actor, session_, now)) {
        v1::StreamRequest& message = step.send.emplace_back();
        message.set_number(NumberOf(kCommands, request->sequence));
        *message.mutable_apply() = std::move(request->apply);
      }
    }
    // Not before it was ever registered: whom it finds it could not ask for pieces, as the key to sign tickets with
    // comes then.
    while (auto request = was_registered_ ? locates_.Next(now) : std::nullopt) {
      v1::StreamRequest& message = step.send.emplace_back();
      message.set_number(NumberOf(kLocate, request->number));
      *message.mutable_locate() = std::move(request->locate);
    }
    if (now >= lists_not_before_) step.lists = {std::move_iterator(lists_.begin()), std::move_iterator(lists_.end())};
    if (now >= lists_not_before_) lists_.clear();
    if (idle) quiet_since_ = now;
  }
  step.completions = std::exchange(completions_, {});
  return step;
}

absl::Status TrackerConversation::Nobody() const {
  if (linked_ && base::Reason(trouble_) == "TRACKER_NO_QUORUM") return trouble_;
  if (linked_ && base::Reason(trouble_) == "INCARNATION_STALE") {
    return base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED",
                       "this node is not registered; does another agent run under its name? ({})",
                       base::Message(trouble_));
  }
  const std::string why = trouble_.ok() ? "" : ": " + base::Message(trouble_);
  return base::Error(absl::StatusCode::kUnavailable, "NO_TRACKER", "no tracker answered in time{}", why);
}

void TrackerConversation::Expire(base::MonotonicTime now, const absl::Status& nobody) {
  base::Deadline next = commands_.Expire(now, nobody, completions_);
  next = std::min(next, locates_.Expire(now, nobody, completions_));
  std::erase_if(lists_, [&](const std::shared_ptr<ListQuestion>& question) {
    if (question->deadline > now) {
      next = std::min(next, question->deadline);
      return false;
    }
    --open_lists_;
    completions_.push_back([question, nobody] { question->done(nobody); });
    return true;
  });
  expire_at_ = std::max(next, base::DeadlineAfter(now, kBetweenLooks));
}

Completions TrackerConversation::GiveUpAll(const absl::Status& why) {
  Expire(base::kNoDeadline, why);
  return std::exchange(completions_, {});
}

bool TrackerConversation::busy() const {
  return !linked_ || !Registered() || leaving_ || !commands_.empty() || !locates_.empty() || open_lists_ > 0;
}

}  // namespace larder::cache_agent
