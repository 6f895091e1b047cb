#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "larder/base/clock.h"
#include "larder/base/executor.h"
#include "larder/object/backend.h"
#include "larder/object/caller.h"
#include "larder/object/examination.h"
#include "larder/object/peer.h"
#include "larder/object/registry.h"
#include "larder/object/transport.h"

namespace larder::arena {
class Arena;
}

namespace larder::object {

// What extensions are made from. Pointers outlive what is made.
struct BackendSettings {
  std::string path;        // what follows "SCHEME://"
  uint64_t max_bytes = 0;  // 0: no limit of its own
  const base::Clock* clock = nullptr;
  arena::Arena* arena = nullptr;  // the node's memory
};
struct BackendEntry {
  std::string name;  // the scheme
  std::string help;
  std::function<absl::StatusOr<std::unique_ptr<Backend>>(const BackendSettings&)> make;
};
using BackendRegistry = Registry<BackendEntry>;

struct PeerSettings {
  std::vector<Backend*> backends;  // hottest first
  const base::Clock* clock = nullptr;
  base::Executor* executor = nullptr;  // for what waits on disk
  // What holds for a namespace now; none: no limits, nothing is evicted. Any thread.
  std::function<NamespaceRules(const std::string& ns)> rules;
  // Asks for a Tick soon; any thread.
  std::function<void()> wake;
  base::Duration lease_ttl = std::chrono::seconds(30);
  // A Tick that comes later than this after the end of the last one says that the whole process stood still: what
  // clients sent meanwhile may lie unread, so none has been silent before it.
  base::Duration late_tick = base::Duration::max();
  std::string node;
};
struct PeerEntry {
  std::string name;
  std::string help;
  // Recovers what the backends kept.
  std::function<absl::StatusOr<std::unique_ptr<Peer>>(const PeerSettings&)> make;
};
using PeerRegistry = Registry<PeerEntry>;

// What a listener tells of itself; called on its threads, must not block.
class TransportObserver {
 public:
  virtual ~TransportObserver() = default;
  virtual void ConnectionOpened() {}
  virtual void ConnectionClosed() {}
  // Refused or cut off: "hello_timeout", "bad_record", "denied", "too_many", "slow", "revoked".
  virtual void Denied(std::string_view /*reason*/) {}
};

struct ListenSettings {
  std::string address;  // what follows "SCHEME://"
  Peer* peer = nullptr;
  const base::Clock* clock = nullptr;
  base::Executor* executor = nullptr;  // for copies and what waits on disk
  arena::Arena* arena = nullptr;       // for write windows
  // What holds for a namespace now; none: no limits. Any thread.
  std::function<NamespaceRules(const std::string& ns)> rules;
  TransportObserver* observer = nullptr;
  std::string node;
  std::string version;
  base::Duration lease_ttl = std::chrono::seconds(30);
  Identify identify;
  SessionTokens* tokens = nullptr;  // none: sessions have no token
  unsigned socket_mode = 0666;      // permissions of a socket that is a file
};
struct TransportEntry {
  std::string name;  // the scheme
  std::string help;
  std::function<absl::StatusOr<std::unique_ptr<Channel>>(const std::string& address, const DialOptions&)> dial;
  std::function<absl::StatusOr<std::unique_ptr<Listener>>(const ListenSettings&)> listen;
  // Where the agent that this address reaches answers gRPC: HOST:PORT, or the absolute path of a socket. Null: nowhere.
  std::function<std::string(const std::string& address)> control;
  // Looks at each part of the way to an agent. Null: dialling is all that can be tried.
  std::function<Examination(const std::string& address, const ExamineOptions&)> examine;
};
using TransportRegistry = Registry<TransportEntry>;

}  // namespace larder::object
