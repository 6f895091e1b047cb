#include "larder/client/client.h"

#include <algorithm>
#include <random>
#include <thread>

#include "larder/base/status.h"
#include "larder/transport/register_all.h"

namespace larder::client {
namespace {

const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// The connection, not the request, is what failed.
bool ConnectionFailed(const absl::Status& status) {
  const std::string reason = base::Reason(status);
  return status.code() == absl::StatusCode::kUnavailable &&
         (reason == "CONNECTION_LOST" || reason == "NO_AGENT" || reason == "STOPPING");
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
  LARDER_RETURN_IF_ERROR(client->Run<absl::Status>(true, [](object::Channel&) { return absl::OkStatus(); }));
  return client;
}

base::Deadline Client::DeadlineNow() const { return base::DeadlineAfter(base::SystemClock().Now(), options_.timeout); }

void Client::Backoff(int attempt) const {
  static thread_local std::minstd_rand random{std::random_device{}()};
  const base::Duration whole = options_.first_backoff * (1 << std::min(attempt, 10));
  const auto jittered = whole / 2 + base::Duration(random() % std::max<int64_t>(1, whole.count() / 2));
  options_.wait ? options_.wait(jittered) : std::this_thread::sleep_for(jittered);
}

absl::StatusOr<Client::Channel> Client::Current() {
  base::MutexLock lock(mutex_);
  if (channel_ != nullptr && !channel_->broken()) return channel_;
  LARDER_ASSIGN_OR_RETURN(channel_, transport_.dial(address_, {.ns = options_.ns, .deadline = DeadlineNow()}));
  return channel_;
}

template <typename T>
T Client::Run(bool repeatable, const std::function<T(object::Channel&)>& call) {
  for (int attempt = 0;; ++attempt) {
    absl::StatusOr<Channel> channel = Current();
    // Nothing was asked yet: connecting may always be tried again.
    const bool asked = channel.ok();
    T result = asked ? call(**channel) : T(channel.status());
    if (!ConnectionFailed(StatusOf(result)) || (asked && !repeatable) || attempt == options_.retries) return result;
    // An agent that has just restarted is there at once: only repeated failure waits.
    if (!asked || attempt > 0) Backoff(attempt);
  }
}

absl::StatusOr<std::unique_ptr<object::ObjectWriter>> Client::Create(const object::CreateRequest& request) {
  // A create that was lost on the way left nothing: its lease ended with the connection.
  return Run<absl::StatusOr<std::unique_ptr<object::ObjectWriter>>>(
      true, [&](object::Channel& channel) { return channel.Create(request, DeadlineNow()); });
}

absl::StatusOr<std::unique_ptr<object::ObjectReader>> Client::Get(const std::string& key) {
  return Run<absl::StatusOr<std::unique_ptr<object::ObjectReader>>>(
      true, [&](object::Channel& channel) { return channel.Get(key, DeadlineNow()); });
}

absl::StatusOr<object::SealResult> Client::Put(const object::CreateRequest& request, base::ByteSpan bytes) {
  // Whether a lost one took effect is unknown; repeating it is right only if the same content may be there already.
  const bool repeatable = request.overwrite || request.accept_same_content || request.key.empty();
  return Run<absl::StatusOr<object::SealResult>>(
      repeatable, [&](object::Channel& channel) { return channel.Put(request, bytes, DeadlineNow()); });
}

absl::StatusOr<object::ObjectInfo> Client::Stat(const std::string& key) {
  return Run<absl::StatusOr<object::ObjectInfo>>(true, [&](object::Channel& channel) { return channel.Stat(key); });
}

absl::StatusOr<object::ListPage> Client::List(const object::ListRequest& request) {
  return Run<absl::StatusOr<object::ListPage>>(true, [&](object::Channel& channel) { return channel.List(request); });
}

absl::Status Client::Delete(const std::string& key) {
  return Run<absl::Status>(false, [&](object::Channel& channel) { return channel.Delete(key); });
}

absl::Status Client::SetPinned(const std::string& key, bool pinned) {
  return Run<absl::Status>(true, [&](object::Channel& channel) { return channel.SetPinned(key, pinned); });
}

std::string Client::ns() const {
  base::MutexLock lock(mutex_);
  return channel_->ns();
}

std::string Client::node() const {
  base::MutexLock lock(mutex_);
  return channel_->node();
}

}  // namespace larder::client
