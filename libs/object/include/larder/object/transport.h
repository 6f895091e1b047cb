#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/base/clock.h"
#include "larder/object/byte_range.h"
#include "larder/object/caller.h"
#include "larder/object/object.h"
#include "larder/object/peer.h"

namespace larder::object {

// The client's side of one creation. Dropped unsealed, it discards. One caller at a time. Any error but MIXED_WRITE
// ends the creation, at an agent that answers before the call returns; what was sealed stays (UNAVAILABLE: its ack
// policy failed). A call that takes longer than DialOptions::call_timeout ends it, too: DEADLINE_EXCEEDED (NO_ANSWER);
// a seal may have happened. In a forked child: UNAVAILABLE (CONNECTION_LOST), and the parent's creation is untouched.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual Epoch epoch() const = 0;
  // A writable window of `size` bytes, all zero, that becomes the object's content at the seal. Once per object, and
  // not together with Write: FAILED_PRECONDITION (MIXED_WRITE). UNIMPLEMENTED where the transport shares no memory.
  virtual absl::StatusOr<base::MutableByteSpan> Buffer(uint64_t size) = 0;
  // Appends; blocks while earlier bytes are on their way. An error ends the creation.
  virtual absl::Status Write(base::ByteSpan bytes) = 0;
  // Where the next bytes may be put without a copy of the caller's own: at most `want` bytes, at least one; Commit(n)
  // appends the first n of them. Valid until the next call.
  virtual absl::StatusOr<base::MutableByteSpan> Prepare(uint64_t want) = 0;
  virtual absl::Status Commit(uint64_t written) = 0;
  virtual absl::StatusOr<SealResult> Seal(const base::Digest& expected) = 0;
  // OK as well when the creation has ended.
  virtual absl::Status Discard() = 0;
};

// The client's window on one sealed object, with its read lease; released at the end of its life. Thread-safe.
class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  virtual const ObjectInfo& info() const = 0;
  // All bytes, mapped or received, if the transport gives them at once. They stay good as long as the reader lives,
  // whatever becomes of the agent.
  virtual std::optional<base::ByteSpan> Bytes() const = 0;
  // Copies the bytes from `offset`; works on every transport. OUT_OF_RANGE past the end. Where Bytes() gives none:
  // UNAVAILABLE when the agent is gone and does not come back, ABORTED (EPOCH_STALE) when it came back with another
  // object under the key, NOT_FOUND (NO_OBJECT) without one, DEADLINE_EXCEEDED after DialOptions::call_timeout; it may
  // be asked again.
  virtual absl::Status Read(uint64_t offset, base::MutableByteSpan out) = 0;
  // The agent keeps no lease for it: it ended the lease, or is gone, and none could be had again yet.
  virtual bool lapsed() { return false; }
};

// One object of a PutMany. The bytes are borrowed until that returns.
struct PutRequest {
  CreateRequest request;
  base::ByteSpan bytes;
};

// One session of a client with an agent. Thread-safe. UNAVAILABLE (CONNECTION_LOST) once it is broken: Redial, or dial
// anew. A call that has no answer by its deadline, and a moment more: DEADLINE_EXCEEDED (NO_ANSWER); what was asked may
// still happen.
class Channel {
 public:
  virtual ~Channel() = default;
  virtual absl::StatusOr<std::unique_ptr<ObjectWriter>> Create(const CreateRequest& request,
                                                               base::Deadline deadline) = 0;
  virtual absl::StatusOr<std::unique_ptr<ObjectReader>> Get(const std::string& key, base::Deadline deadline) = 0;
  // Get, by who reads only these bytes: of what is elsewhere, no more need come. Here: Get. Others may be OUT_OF_RANGE
  // to the reader, as is a range of none of the object's bytes.
  virtual absl::StatusOr<std::unique_ptr<ObjectReader>> GetRange(const std::string& key, const ByteRange& /*range*/,
                                                                 base::Deadline deadline) {
    return Get(key, deadline);
  }
  // All in one round trip; for small objects.
  virtual absl::StatusOr<SealResult> Put(const CreateRequest& request, base::ByteSpan bytes,
                                         base::Deadline deadline) = 0;
  // Get and Put of many, in the order asked, though they take effect in any; one failure fails no neighbour. Here: one
  // by one. To be overridden where many cost less together.
  virtual std::vector<absl::StatusOr<std::unique_ptr<ObjectReader>>> GetMany(std::span<const std::string> keys,
                                                                             base::Deadline deadline);
  virtual std::vector<absl::StatusOr<SealResult>> PutMany(std::span<const PutRequest> requests,
                                                          base::Deadline deadline);
  virtual absl::StatusOr<ObjectInfo> Stat(const std::string& key, base::Deadline deadline) = 0;
  virtual absl::StatusOr<ListPage> List(const ListRequest& request, base::Deadline deadline) = 0;
  virtual absl::Status Delete(const std::string& key, base::Deadline deadline) = 0;
  virtual absl::Status SetPinned(const std::string& key, bool pinned, base::Deadline deadline) = 0;
  // The namespace and node that the agent says.
  virtual const std::string& ns() const = 0;
  virtual const std::string& node() const = 0;
  // With it, a gRPC call at the agent's control address acts as this session; empty: there is no such thing.
  virtual std::string token() const { return ""; }
  // Nothing more can be asked: it is lost, or the agent has hung up, which nobody need have noticed before.
  virtual bool broken() const = 0;
  // A session with whoever serves the address now, in place of this one, which is broken: its open readers go on there.
  // Tries once. UNIMPLEMENTED, as here, where a session leaves nothing behind: dial anew.
  virtual absl::StatusOr<std::unique_ptr<Channel>> Redial(base::Deadline deadline);
};

struct DialOptions {
  std::string ns;  // empty: the agent's choice
  base::Deadline deadline = base::kNoDeadline;
  // How long open readers look for the next agent by themselves after their session was lost; 0: not at all.
  base::Duration reconnect_window{};
  // The longest time that each call of a reader or writer may take; max: no limit.
  base::Duration call_timeout = base::Duration::max();
};

// A way in to a listener beside its first one, for callers of whom something is known by the way they come.
struct Door {
  std::string address;  // as ListenSettings'; nobody else may serve it
  Identify identify;
  SessionTokens* tokens = nullptr;  // none: sessions have no token
  unsigned socket_mode = 0666;      // permissions of a socket that is a file
  size_t max_connections = 0;       // at once, whatever they have said yet; more are closed. 0: no limit
};

// The agent's side: serves a peer until stopped.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual absl::Status Start() = 0;
  // Doors, each known by its address. Not from the listener's own threads; after Start, and not at once with Stop,
  // which closes all.

  // Serves who comes by `door`, too, on the threads that the listener has. The errors of Start; UNIMPLEMENTED
  // (NO_DOORS) of a transport that has one way in only.
  virtual absl::Status OpenDoor(Door door);
  // Takes no new connections by that door and ends those that came by it, and their leases with them: none asks for
  // anything once this returns. Nothing if it is not open.
  virtual void CloseDoor(const std::string& address);
  // Asks `identify` of all doors again, about each session, and ends those that it refuses now or gives fewer rights.
  virtual void RecheckDoors();
  // Takes no new connections, lets running requests end until `deadline`, closes.
  virtual void Stop(base::Deadline deadline) = 0;
};

}  // namespace larder::object
