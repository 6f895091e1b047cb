#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/object/registries.h"
#include "larder/object/transport.h"

namespace larder::client {

struct Options {
  std::string ns;                                                 // empty: the agent's choice
  base::Duration timeout = base::Duration::max();                 // of each call, also of readers, writers; max: none
  int retries = 3;                                                // of what is safe to repeat
  base::Duration first_backoff = std::chrono::milliseconds(100);  // doubles with each retry up to 1 s, jittered by half
  // How long a call waits for an agent that was there before and is gone.
  base::Duration reconnect_window = std::chrono::seconds(30);
  // How to wait between retries; empty: the thread sleeps.
  std::function<void(base::Duration)> wait;
  const base::Clock* clock = nullptr;  // null: the system's
  // The transports to choose from; null: all that are built in.
  const object::TransportRegistry* transports = nullptr;
};

// A program's way to its node's agent. Thread-safe. Readers and writers may outlive the client.
//
// When the agent is gone, calls wait for the next one and go on there. A Put under a key that neither overwrites nor
// accepts the same content is not sent twice: it fails with UNAVAILABLE (CONNECTION_LOST) if its answer was lost. A
// call gives up when the reconnect window ends: UNAVAILABLE, naming the address. A call that is not done within the
// timeout, and a second that the agent has to answer (not those of readers and writers): DEADLINE_EXCEEDED; what was
// asked may still happen, a writer's creation has ended, a reader may be asked again. Such a call ends the connection,
// and so the creations that share it. Readers stay valid, and their leases are had again from the next agent if it has
// the same objects; a writer fails with UNAVAILABLE, and nothing of it remains. A forked child connects anew; what it
// inherits stays readable and else does nothing.
class Client {
 public:
  // `endpoint` is "SCHEME://ADDRESS", as in uds:///run/larder. INVALID_ARGUMENT (UNKNOWN_SCHEME, BAD_URI), UNAVAILABLE
  // (NO_AGENT) after the retries.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& endpoint, Options options = {});

  // A new object; waits while another client creates the same key. Errors: object::Peer::Create.
  absl::StatusOr<std::unique_ptr<object::ObjectWriter>> Create(const object::CreateRequest& request);
  // A sealed object; NOT_FOUND (NO_OBJECT).
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> Get(const std::string& key);
  // The same, by who reads only these bytes: of what lies on another node no more need come here. Other bytes may be
  // OUT_OF_RANGE to the reader. OUT_OF_RANGE (BAD_RANGE) for a range of none of the object's bytes, if it is found
  // before all is here: compare with info().size, too.
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> GetRange(const std::string& key,
                                                                 const object::ByteRange& range);
  // Create, write and seal in one; small objects in one round trip.
  absl::StatusOr<object::SealResult> Put(const object::CreateRequest& request, base::ByteSpan bytes);
  // Many at once, answered in the order asked; one failure fails no neighbour. Small objects that came together lie in
  // memory together: it is kept until the last reader of such a record (96 KiB) ends. PutMany creates them in no
  // particular order.
  std::vector<absl::StatusOr<std::unique_ptr<object::ObjectReader>>> GetMany(std::span<const std::string> keys);
  std::vector<absl::StatusOr<object::SealResult>> PutMany(std::span<const object::PutRequest> requests);
  absl::StatusOr<object::ObjectInfo> Stat(const std::string& key);
  absl::StatusOr<object::ListPage> List(const object::ListRequest& request);
  absl::Status Delete(const std::string& key);
  absl::Status SetPinned(const std::string& key, bool pinned);
  // The namespace that the agent put this client in, and the node's name.
  std::string ns() const;
  std::string node() const;
  // Lets a gRPC call at the agent's control address act as this client: 16 bytes, to be sent as the metadata
  // larder-session-bin. Of the connection at present: a new one has another. Empty if the agent gives none.
  std::string token() const;

 private:
  Client(const object::TransportEntry& transport, std::string address, Options options);
  using Channel = std::shared_ptr<object::Channel>;
  // What a call asks of a channel until a deadline.
  template <typename T>
  using Ask = std::function<T(object::Channel&, base::Deadline)>;
  absl::StatusOr<Channel> Current(base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  // The same; where nobody answers, tries again for `window`, and at least as often as a call is repeated.
  absl::StatusOr<Channel> Connected(base::Duration window, base::Deadline deadline);
  base::MonotonicTime Now() const;
  base::Deadline DeadlineNow() const { return base::DeadlineAfter(Now(), options_.timeout); }
  base::Duration Pause(int failures) const;
  void Wait(base::Duration pause) const;
  // Runs `ask` on a connection; again on a new one, if it was lost and `repeatable`.
  template <typename T>
  T Run(bool repeatable, const Ask<T>& ask);
  // The same for many items, of which those that the loss of a connection left without an answer are asked again.
  template <typename T, typename Item>
  std::vector<absl::StatusOr<T>> RunMany(std::span<const Item> items, bool (*repeatable)(const Item&),
                                         std::vector<absl::StatusOr<T>> (object::Channel::*ask)(std::span<const Item>,
                                                                                                base::Deadline));

  const object::TransportEntry transport_;
  const std::string address_;
  const Options options_;
  mutable base::Mutex mutex_;
  Channel channel_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::client
