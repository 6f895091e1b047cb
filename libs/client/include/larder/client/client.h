#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/object/registries.h"
#include "larder/object/transport.h"

namespace larder::client {

struct Options {
  std::string ns;                                                 // empty: the agent's choice
  base::Duration timeout = base::Duration::max();                 // of each call; max: none
  int retries = 3;                                                // of what is safe to repeat
  base::Duration first_backoff = std::chrono::milliseconds(100);  // doubles with each retry, jittered by half
  // How to wait between retries; empty: the thread sleeps.
  std::function<void(base::Duration)> wait;
  // The transports to choose from; null: all that are built in.
  const object::TransportRegistry* transports = nullptr;
};

// A program's way to its node's agent. Thread-safe. When the agent restarts, calls that are safe to repeat connect anew
// by themselves; readers stay valid; a writer fails with UNAVAILABLE. Readers and writers may outlive the client.
class Client {
 public:
  // `endpoint` is "SCHEME://ADDRESS", as in uds:///run/larder. INVALID_ARGUMENT (UNKNOWN_SCHEME, BAD_URI), UNAVAILABLE
  // (NO_AGENT) after the retries.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& endpoint, Options options = {});

  // A new object; waits while another client creates the same key. Errors: object::Peer::Create.
  absl::StatusOr<std::unique_ptr<object::ObjectWriter>> Create(const object::CreateRequest& request);
  // A sealed object; NOT_FOUND (NO_OBJECT).
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> Get(const std::string& key);
  // Create, write and seal in one; small objects in one round trip.
  absl::StatusOr<object::SealResult> Put(const object::CreateRequest& request, base::ByteSpan bytes);
  absl::StatusOr<object::ObjectInfo> Stat(const std::string& key);
  absl::StatusOr<object::ListPage> List(const object::ListRequest& request);
  absl::Status Delete(const std::string& key);
  absl::Status SetPinned(const std::string& key, bool pinned);
  // The namespace that the agent put this client in, and the node's name.
  std::string ns() const;
  std::string node() const;

 private:
  Client(const object::TransportEntry& transport, std::string address, Options options);
  using Channel = std::shared_ptr<object::Channel>;
  absl::StatusOr<Channel> Current() LARDER_EXCLUDES(mutex_);
  base::Deadline DeadlineNow() const;
  void Backoff(int attempt) const;
  // Runs `call` on a connection; again on a new one, if it was lost and `repeatable`.
  template <typename T>
  T Run(bool repeatable, const std::function<T(object::Channel&)>& call);

  const object::TransportEntry transport_;
  const std::string address_;
  const Options options_;
  mutable base::Mutex mutex_;
  Channel channel_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::client
