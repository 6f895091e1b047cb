#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "larder/base/clock.h"
#include "larder/base/units.h"
#include "larder/raft/transport.h"

namespace larder::raft {

struct TcpTransportOptions {
  std::string listen;   // HOST:PORT; port 0: any
  std::string cluster;  // told and compared in HELLO, as are the version and the CPU architecture
  std::string node;     // this member's uuid
  MemberId self;
  GroupId group;
  std::map<MemberId, std::string> members;       // HOST:PORT of the others, resolved at each dial
  uint64_t queue_limit = 32 * base::kMiB;        // bytes of messages on their way to one member
  uint64_t application_limit = 32 * base::kMiB;  // beside them, of what SendApplication sent
  uint64_t frame_limit = 64 * base::kMiB;
  size_t incoming_limit = 64;  // connections; more are closed at once
  base::Duration dial_timeout = std::chrono::seconds(1);
  base::Duration hello_timeout = std::chrono::seconds(3);  // from accept to a whole HELLO
  Transport::Receive receive;
  // What SendApplication sent. Empty: such frames end their connection (BAD_FRAME).
  Transport::Receive receive_application;
  Transport::Unreachable unreachable;
  // Why an incoming connection was ended, for log and counter. Reasons: BAD_FRAME, FRAME_TOO_LARGE, BAD_HELLO,
  // PROTOCOL_VERSION, FOREIGN_CLUSTER, FOREIGN_GROUP, FOREIGN_ARCHITECTURE, NO_HELLO, TOO_MANY_CONNECTIONS,
  // NO_DESCRIPTORS. May be empty.
  std::function<void(const absl::Status&)> refused;
};

// Framed TCP (docs/formats/raft-frames.md): one connection from each member to each other, dialled by the sender at
// once, and again when it is lost: followers say nothing to each other until they elect, which should wait for no name.
// A frame that is damaged, too long or of another cluster ends its connection, and nothing of it reaches `receive`.
//
// One thread receives (`receive`, `receive_application`, `refused`), and one for each member sends what its caller
// could not send at once (`unreachable`). A callback that blocks holds up its thread: `receive` all members' messages.
class TcpTransport : public Transport {
 public:
  // Listens. UNAVAILABLE (CANNOT_LISTEN) if it cannot, INVALID_ARGUMENT (BAD_ADDRESS) for an address that is none.
  static absl::StatusOr<std::unique_ptr<TcpTransport>> Listen(TcpTransportOptions options);
  // Bytes for the program that the group serves, which the engine does not see. Queued in order with messages, with
  // room of their own. RESOURCE_EXHAUSTED (RAFT_BUSY): there is none, they were not queued.
  virtual absl::Status SendApplication(MemberId to, std::string bytes) = 0;
  // Where it listens, HOST:PORT.
  virtual std::string address() const = 0;
  // Another member, or another address of one, which counts from the next dial on. Thread-safe.
  virtual void SetMember(MemberId id, std::string address) = 0;
  virtual void RemoveMember(MemberId id) = 0;
  // No more callbacks once it returns, which may take as long as one look-up of a name. Idempotent; not from a
  // callback.
  virtual void Stop() = 0;
};

}  // namespace larder::raft
