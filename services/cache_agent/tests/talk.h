#pragma once
#include <deque>
#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "larder/base/testing/manual_clock.h"
#include "rpc/cluster_proto.h"
#include "rpc/tracker_conversation.h"

namespace larder::cache_agent {

namespace v1 = larder::tracker::v1;

inline v1::Result DoneResult() {
  v1::Result result;
  result.mutable_done();
  return result;
}
inline v1::Result GrantedResult(uint64_t epoch) {
  v1::Result result;
  result.mutable_create_granted()->set_epoch(epoch);
  return result;
}
inline v1::Result SealedResult(uint64_t epoch) {
  v1::Result result;
  result.mutable_sealed()->set_blob(2);
  result.mutable_sealed()->set_epoch(epoch);
  return result;
}
inline v1::Result RefusedResult(absl::StatusCode code, const std::string& reason) {
  v1::Result result;
  result.mutable_refusal()->set_code(static_cast<int>(code));
  result.mutable_refusal()->set_reason(reason);
  return result;
}
inline v1::Result SessionResult(uint64_t session) {
  v1::Result result;
  result.mutable_session_opened()->set_session(session);
  return result;
}
inline v1::Result RegisteredResult(uint64_t node_epoch) {
  v1::Result result;
  result.mutable_node_registered()->set_node_epoch(node_epoch);
  result.mutable_node_registered()->set_piece_key("the cluster's");
  result.mutable_node_registered()->set_piece_key_id(1);
  return result;
}
// An answer with these results to that request.
inline v1::StreamResponse Applied(const v1::StreamRequest& request, const std::vector<v1::Result>& results) {
  v1::StreamResponse response;
  response.set_number(request.number());
  for (const v1::Result& result : results) *response.mutable_applied()->add_results() = result;
  return response;
}
inline v1::StreamResponse Failed(const v1::StreamRequest& request, absl::StatusCode code, const std::string& reason) {
  v1::StreamResponse response;
  response.set_number(request.number());
  response.mutable_failure()->set_code(static_cast<int>(code));
  response.mutable_failure()->set_reason(reason);
  return response;
}

// A conversation whose tracker is the test, in simulated time. What was asked is named by its key; `told` has what
// became of it: "k: OK", "k: HELD". One thread.
class Talk {
 public:
  explicit Talk(TrackerOptions options = {}) : options_(WithName(std::move(options))) {
    talk.OnLink(clock.Now());
    Proceed();
  }

  // Does what is due.
  void Proceed() {
    TrackerConversation::Step step = talk.Next(clock.Now());
    for (v1::StreamRequest& request : step.send) sent.push_back(std::move(request));
    for (auto& question : step.lists) lists.push_back(std::move(question));
    if (step.leave) left = true;
    for (const auto& completion : step.completions) completion();
  }
  void Wait(base::Duration duration) {
    clock.Advance(duration);
    Proceed();
  }
  // The oldest request not taken yet.
  v1::StreamRequest Take() {
    if (sent.empty()) throw std::logic_error("nothing was sent");
    v1::StreamRequest request = std::move(sent.front());
    sent.pop_front();
    return request;
  }
  void Say(v1::StreamResponse response) {
    talk.OnReceived(std::move(response), clock.Now());
    Proceed();
  }
  void Lose() {
    talk.OnLinkLost(absl::UnavailableError("connection reset"));
    left = false;
    Proceed();
  }
  void Link() {
    talk.OnLink(clock.Now());
    Proceed();
  }
  // Through the first words.
  void Register(uint64_t session = 1, uint64_t node_epoch = 5) {
    Say(Applied(Take(), {SessionResult(session), RegisteredResult(node_epoch)}));
  }

  absl::Status Ask(const std::string& key, v1::Command command, bool stays = false, bool certain = false) {
    const absl::Status asked = talk.Ask({.command = std::move(command),
                                         .object = key,
                                         .stays = stays,
                                         .certain = certain,
                                         .done =
                                             [this, key](const absl::StatusOr<v1::Result>& result) {
                                               const absl::Status status = StatusOf(result);
                                               told.push_back(key + ": " + (status.ok() ? "OK" : base::Reason(status)));
                                             }},
                                        clock.Now());
    Proceed();
    return asked;
  }
  absl::Status Acquire(const std::string& key) { return Ask(key, AcquireCommand({"a", key}, false, options_.lease)); }
  absl::Status Seal(const std::string& key) {
    return Ask(key, SealCommand(object::Epoch{7}, {.id = {"a", key}}), false, /*certain=*/true);
  }
  absl::Status Delete(const std::string& key) { return Ask(key, DeleteCommand({"a", key})); }
  absl::Status Abandon(const std::string& key, uint64_t epoch) {
    return Ask(key, AbandonCommand({"a", key}, object::Epoch{epoch}), true);
  }

  base::ManualClock clock;
  std::deque<v1::StreamRequest> sent;
  std::deque<std::shared_ptr<TrackerConversation::ListQuestion>> lists;
  std::vector<std::string> told;
  std::vector<Registration> registered;
  std::vector<uint64_t> fenced;
  bool left = false;

 private:
  static TrackerOptions WithName(TrackerOptions options) {
    options.node = "n";
    options.incarnation = 3;
    return options;
  }
  const TrackerOptions options_;

 public:
  TrackerConversation talk{options_,
                           {.registered = [this](const Registration& told) { registered.push_back(told); },
                            .fenced = [this](uint64_t epoch) { fenced.push_back(epoch); }}};
};

// The keys of a request's commands.
inline std::vector<std::string> KeysOf(const v1::StreamRequest& request) {
  std::vector<std::string> keys;
  for (const v1::Command& command : request.apply().commands()) {
    if (command.has_acquire_create()) keys.push_back(command.acquire_create().object().key());
    if (command.has_delete_()) keys.push_back(command.delete_().object().key());
    if (command.has_abandon()) keys.push_back(command.abandon().object().key());
  }
  return keys;
}

}  // namespace larder::cache_agent
