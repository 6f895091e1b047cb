#include "larder/client/client.h"

#include <algorithm>
#include <numeric>
#include <thread>

#include "larder/base/backoff.h"
#include "larder/base/status.h"
#include "larder/transport/register_all.h"

namespace larder::client {
namespace {

constexpr base::Duration kLongestPause = std::chrono::seconds(1);

const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// The connection, not the request, is what failed.
bool ConnectionFailed(const absl::Status& status) {
  const std::string reason = base::Reason(status);
  return status.code() == absl::StatusCode::kUnavailable &&
         (reason == "CONNECTION_LOST" || reason == "NO_AGENT" || reason == "STOPPING" || reason == "CALLER_UNSURE");
}

// The agent is no member of its cluster, and will be once anybody there answers: a moment after an outage.
bool NotAMember(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable && base::Reason(status) == "NODE_FENCED";
}

// Whether a lost one took effect is unknown: repeating it is right only if the same content may be there already.
bool MayRepeat(const object::CreateRequest& request) {
  return request.overwrite || request.accept_same_content || request.key.empty();
}

}  // namespace

Client::Client(const object::TransportEntry& transport, std::string address, Options options)
    : transport_(transport), address_(std::move(address)), options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const std::string& endpoint, Options options) {
  LARDER_ASSIGN_OR_RETURN(object::UriParts uri, object::SplitUri(endpoint));
  object::TransportRegistry built_in("transport");
  if (options.transports == nullptr) transport::RegisterAll(built_in);
  const object::TransportRegistry& transports = options.transports == nullptr ? built_in : *options.transports;
  LARDER_ASSIGN_OR_RETURN(const object::TransportEntry* transport, transports.Get(uri.scheme));
  options.transports = nullptr;
  std::unique_ptr<Client> client(new Client(*transport, std::move(uri.rest), std::move(options)));
  LARDER_RETURN_IF_ERROR(client->Connected(base::Duration::zero(), client->DeadlineNow()).status());
  return client;
}

// ---- connections and repeats

base::MonotonicTime Client::Now() const {
  return options_.clock == nullptr ? base::SystemClock().Now() : options_.clock->Now();
}

base::Duration Client::Pause(int failures) const {
  return base::BackoffDelay(failures, options_.first_backoff, kLongestPause, base::BackoffRandom());
}

void Client::Wait(base::Duration pause) const {
  options_.wait ? options_.wait(pause) : std::this_thread::sleep_for(pause);
}

absl::StatusOr<Client::Channel> Client::Current(base::Deadline deadline) {
  base::MutexLock lock(mutex_);
  if (channel_ != nullptr && !channel_->broken()) return channel_;
  if (channel_ != nullptr) {
    absl::StatusOr<Channel> next = channel_->Redial(deadline);
    if (next.ok()) channel_ = *next;
    if (next.status().code() != absl::StatusCode::kUnimplemented) return next;
  }
  LARDER_ASSIGN_OR_RETURN(channel_, transport_.dial(address_, {.ns = options_.ns,
                                                               .deadline = deadline,
                                                               .reconnect_window = options_.reconnect_window,
                                                               .call_timeout = options_.timeout}));
  return channel_;
}

absl::StatusOr<Client::Channel> Client::Connected(base::Duration window, base::Deadline deadline) {
  const base::MonotonicTime since = Now();
  for (int failures = 0;; ++failures) {
    absl::StatusOr<Channel> channel = Current(deadline);
    if (!ConnectionFailed(channel.status())) return channel;
    const base::Duration pause = Pause(failures);
    if (failures >= options_.retries && Now() + pause - since >= window) {
      if (window == base::Duration::zero()) return channel;
      return base::Annotate(channel.status(), fmt::format("tried to connect again for {:.3g} s",
                                                          std::chrono::duration<double>(window).count()));
    }
    if (Now() + pause > deadline) {
      return base::MakeError(absl::StatusCode::kDeadlineExceeded, base::Reason(channel.status()),
                             base::Message(channel.status()));
    }
    Wait(pause);
  }
}

template <typename T>
T Client::Run(bool repeatable, const Ask<T>& ask) {
  const base::Deadline deadline = DeadlineNow();
  for (int repeats = 0;; ++repeats) {
    // Also for what must not be repeated: nothing of it is sent before there is a connection.
    absl::StatusOr<Channel> channel = Connected(options_.reconnect_window, deadline);
    if (!channel.ok()) return T(channel.status());
    T result = ask(**channel, deadline);
    const bool refused = NotAMember(StatusOf(result));
    if (!(refused || ConnectionFailed(StatusOf(result))) || !repeatable || repeats == options_.retries) return result;
    // An agent that has restarted is there at once; one that is going takes a moment to be gone.
    if (repeats > 0 || refused || base::Reason(StatusOf(result)) == "STOPPING") Wait(Pause(repeats));
  }
}

template <typename T, typename Item>
std::vector<absl::StatusOr<T>> Client::RunMany(
    std::span<const Item> items, bool (*repeatable)(const Item&),
    std::vector<absl::StatusOr<T>> (object::Channel::*ask)(std::span<const Item>, base::Deadline)) {
  std::vector<absl::StatusOr<T>> results(items.size());
  std::vector<size_t> left(items.size());
  std::iota(left.begin(), left.end(), 0);
  const Ask<absl::Status> ask_left = [&](object::Channel& channel, base::Deadline deadline) {
    std::vector<Item> some;
    if (left.size() < items.size()) {
      for (const size_t i : left) some.push_back(items[i]);
    }
    auto answers = (channel.*ask)(some.empty() ? items : std::span<const Item>(some), deadline);
    absl::Status lost;
    std::vector<size_t> again;
    for (size_t i = 0; i < left.size(); ++i) {
      if (ConnectionFailed(answers[i].status()) && repeatable(items[left[i]])) {
        lost = answers[i].status();
        again.push_back(left[i]);
      }
      results[left[i]] = std::move(answers[i]);
    }
    left = std::move(again);
    return lost;
  };
  if (items.empty()) return results;
  const absl::Status ended = Run<absl::Status>(std::ranges::any_of(items, repeatable), ask_left);
  if (!ended.ok()) {
    for (const size_t i : left) results[i] = ended;
  }
  return results;
}

// ---- calls

absl::StatusOr<std::unique_ptr<object::ObjectWriter>> Client::Create(const object::CreateRequest& request) {
  // A create that was lost on the way left nothing: its lease ended with the connection.
  return Run<absl::StatusOr<std::unique_ptr<object::ObjectWriter>>>(
      true, [&](object::Channel& channel, base::Deadline deadline) { return channel.Create(request, deadline); });
}

absl::StatusOr<std::unique_ptr<object::ObjectReader>> Client::Get(const std::string& key) {
  return Run<absl::StatusOr<std::unique_ptr<object::ObjectReader>>>(
      true, [&](object::Channel& channel, base::Deadline deadline) { return channel.Get(key, deadline); });
}

absl::StatusOr<std::unique_ptr<object::ObjectReader>> Client::GetRange(const std::string& key,
                                                                       const object::ByteRange& range) {
  return Run<absl::StatusOr<std::unique_ptr<object::ObjectReader>>>(
      true, [&](object::Channel& channel, base::Deadline deadline) { return channel.GetRange(key, range, deadline); });
}

absl::StatusOr<object::SealResult> Client::Put(const object::CreateRequest& request, base::ByteSpan bytes) {
  return Run<absl::StatusOr<object::SealResult>>(
      MayRepeat(request),
      [&](object::Channel& channel, base::Deadline deadline) { return channel.Put(request, bytes, deadline); });
}

std::vector<absl::StatusOr<std::unique_ptr<object::ObjectReader>>> Client::GetMany(std::span<const std::string> keys) {
  return RunMany<std::unique_ptr<object::ObjectReader>, std::string>(
      keys, [](const std::string&) { return true; }, &object::Channel::GetMany);
}

std::vector<absl::StatusOr<object::SealResult>> Client::PutMany(std::span<const object::PutRequest> requests) {
  return RunMany<object::SealResult, object::PutRequest>(
      requests, [](const object::PutRequest& put) { return MayRepeat(put.request); }, &object::Channel::PutMany);
}

absl::StatusOr<object::ObjectInfo> Client::Stat(const std::string& key) {
  return Run<absl::StatusOr<object::ObjectInfo>>(
      true, [&](object::Channel& channel, base::Deadline deadline) { return channel.Stat(key, deadline); });
}

absl::StatusOr<object::ListPage> Client::List(const object::ListRequest& request) {
  return Run<absl::StatusOr<object::ListPage>>(
      true, [&](object::Channel& channel, base::Deadline deadline) { return channel.List(request, deadline); });
}

absl::Status Client::Delete(const std::string& key) {
  bool lost = false;
  return Run<absl::Status>(true, [&](object::Channel& channel, base::Deadline deadline) {
    const absl::Status deleted = channel.Delete(key, deadline);
    // The answer that was lost may have been a success.
    if (lost && absl::IsNotFound(deleted)) return absl::OkStatus();
    lost |= base::Reason(deleted) == "CONNECTION_LOST";
    return deleted;
  });
}

absl::Status Client::SetPinned(const std::string& key, bool pinned) {
  return Run<absl::Status>(true, [&](object::Channel& channel, base::Deadline deadline) {
    return channel.SetPinned(key, pinned, deadline);
  });
}

std::string Client::ns() const {
  base::MutexLock lock(mutex_);
  return channel_->ns();
}

std::string Client::node() const {
  base::MutexLock lock(mutex_);
  return channel_->node();
}

std::string Client::token() const {
  base::MutexLock lock(mutex_);
  return channel_->token();
}

}  // namespace larder::client
