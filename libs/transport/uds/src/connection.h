#pragma once
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "larder/arena/arena.h"
#include "larder/base/gate.h"
#include "larder/base/mutex.h"
#include "larder/object/registries.h"
#include "src/caller.h"
#include "src/event_loop.h"
#include "src/messages.h"
#include "src/socket.h"
#include "src/wire.h"

namespace larder::transport::uds {

// What all connections of one listener share.
struct ServerContext {
  object::ListenSettings settings;
  EventLoop* loop = nullptr;
  base::Gate* offloaded = nullptr;  // work on the executor, which speaks to the loop when it ends
  // The loop's thread only.
  base::MonotonicTime from;  // when the listener started
};

// A socket that connections come by. Lives as long as the last of them.
struct Entrance {
  object::Door door;
  std::string path;  // of the socket
  // Of the event loop: who is to be accepted here, or has not said HELLO, is of one group; then each namespace is.
  EventLoop::Group strangers = 1;
  // Counts as their process where those who come cannot be told apart by theirs: all are one pod's. 0: they can.
  int32_t as_pid = 0;
  base::UniqueFd socket;
  base::Duration queue_empty = BootNow();  // when nobody waited to be accepted; kept before Linux 6.5 only
  size_t connections = 0;                  // that came by it and are open
};

class Batch;

// A record of the client's, or one item of a BATCH.
struct Request : Header {
  std::shared_ptr<Batch> batch;  // null: alone in its record
  uint16_t item = 0;
};

// The agent's end of one client. Made, read and closed on the loop's thread; replies may be sent from any.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(ServerContext& server, std::shared_ptr<const Entrance> entrance, base::UniqueFd fd, Caller caller,
             std::function<void(Connection&)> closed);
  absl::Status Start();
  // Gives everything of the client back at once. Idempotent. `why` is empty for an ordinary end.
  void Close(std::string_view why);
  bool greeted() const { return session_.value != 0; }
  base::MonotonicTime since() const { return since_; }
  // Whom it counts for among those that have not said HELLO.
  int32_t stranger() const { return entrance_->as_pid != 0 ? entrance_->as_pid : caller_.pid; }
  const Entrance& entrance() const { return *entrance_; }
  // Whether it would be given its session, with no fewer rights, if it said HELLO now.
  bool StillAllowed() const;
  // Replies have waited for the client to read for longer than `limit`.
  bool Stalled(base::MonotonicTime now, base::Duration limit) LARDER_EXCLUDES(mutex_);
  // Asks the client for those of `quarantined` segments (ascending) that it got. False if it has not given back, within
  // `limit`, one that it was asked for.
  bool Revoke(std::span<const uint64_t> quarantined, base::MonotonicTime now, base::Duration limit)
      LARDER_EXCLUDES(mutex_);

 private:
  // Memory that the client writes and the agent copies from.
  struct SharedWindow {
    std::vector<arena::Range> ranges;
    uint64_t size = 0;
  };
  using WindowPtr = std::shared_ptr<const SharedWindow>;
  // A creation of this client's: what its WRITEs need besides the lease.
  struct Creating {
    object::Epoch epoch;
    bool compares = false;  // the seal may have to read a whole object
    WindowPtr window;
    uint64_t written = 0;  // bytes appended so far
  };
  using CreatingPtr = std::shared_ptr<Creating>;
  // A WRITE under way: its bytes lie in `copy` or in `window`.
  struct Writing {
    Request request;
    CreatingPtr creating;
    object::LeaseId lease;
    std::vector<std::byte> copy;
    WindowPtr window;
    uint64_t offset = 0;  // of what is left
    uint64_t left = 0;
    uint64_t length = 0;
    base::Deadline room_by;
  };
  using WritingPtr = std::shared_ptr<Writing>;

  // ---- connection.cpp: records in and out
  void OnEvent(uint32_t events);
  // Gives back what the session holds; where that waits for a disk, not on the loop's thread.
  void EndSession();
  void ReadOne();
  void UpdateInterest();
  void SendQueued();
  // Any thread. A request without id gets no reply.
  void Reply(const Request& request, const absl::Status& status);
  void Reply(const Request& request, base::ByteSpan payload, base::ByteSpan tail = {},
             std::vector<base::UniqueFd> fds = {});
  void Answer(const Request& request, uint32_t code, base::ByteSpan payload, base::ByteSpan tail,
              std::vector<base::UniqueFd> fds);
  friend class Batch;
  void Send(const Header& header, base::ByteSpan payload, base::ByteSpan tail, std::vector<base::UniqueFd> fds)
      LARDER_EXCLUDES(mutex_);
  void CloseLater(std::string_view why);
  // Runs `work` on the executor; false, and nothing is done, if the listener is stopping.
  bool HandOver(std::function<void()> work);
  // HandOver of a request; reads no further record before it ends, and no lease of the client's lapses.
  void Offload(const Request& request, std::function<void()> work);
  // No further record is read until the Unhold. Hold on the loop's thread, or while it is held already.
  void Hold();
  void Unhold();
  // Creations that may have to wait for another client's: so many and no more, while all else is served on. Any thread.
  bool BeginWaiting() LARDER_EXCLUDES(mutex_);
  void EndWaiting() LARDER_EXCLUDES(mutex_);

  // ---- handlers.cpp, writing.cpp, reading.cpp: one per operation; on the loop's thread
  void Handle(const Request& header, base::ByteSpan payload);
  void HandleBatch(const Request& header, base::ByteReader& in);
  void HandleUnmapped(const Request& header, base::ByteReader& in);
  void Hello(const Request& header, base::ByteReader& in);
  void Create(const Request& header, base::ByteReader& in);
  void Window(const Request& header, base::ByteReader& in);
  void Write(const Request& header, base::ByteReader& in);
  void Seal(const Request& header, base::ByteReader& in);
  void Put(const Request& header, base::ByteReader& in);
  void Discard(const Request& header, base::ByteReader& in);
  void Get(const Request& header, base::ByteReader& in);
  void GetRange(const Request& header, base::ByteReader& in);
  // Asks the peer for what `range` says, or all, and answers.
  void BeginGet(const Request& header, const GetRequest& get, const std::optional<object::ByteRange>& range);
  void Read(const Request& header, base::ByteReader& in);
  void List(const Request& header, base::ByteReader& in);
  void ReplyList(const Request& header, const object::ListPage& page);
  void Extents(const Request& header, base::ByteReader& in);
  void Malformed(const Request& header, const absl::Status& status);
  void SendObject(const Request& header, uint32_t flags, object::ReadGrant grant);
  // Extents `from`… of `all` on the wire, with descriptors of segments the client does not have.
  absl::StatusOr<std::vector<WireExtent>> Describe(std::span<const object::Extent> all, size_t from,
                                                   std::vector<base::UniqueFd>& fds);
  absl::Status DescribeWindow(const SharedWindow& window, size_t from, base::ByteWriter& out,
                              std::vector<base::UniqueFd>& fds) const;
  // Appends what is left of it; what was appended is left no more, also by failure.
  absl::Status AppendLeft(Writing& writing);
  // Appends and answers, maybe after a wait for room. On the loop's thread or in an Offload.
  void RunWrite(const WritingPtr& writing);
  // Answers a WRITE of `length` bytes.
  void Written(const Request& header, Creating& creating, const absl::Status& appended, uint64_t length);
  // Large, or on disk: not for the loop's thread.
  bool LongWrite(const Writing& writing) const;
  // The agent is done with a window: the client must be, too.
  void LetGo(const SharedWindow& window) LARDER_REQUIRES(mutex_);
  // Told by the peer, on a thread of its own.
  void OnLapsed(const std::vector<object::LeaseId>& leases) LARDER_EXCLUDES(mutex_);
  // Keeps as much memory unused as the client still maps of earlier agents.
  void Withhold(uint64_t bytes);
  static absl::Status NoCreation();
  CreatingPtr FindCreating(object::LeaseId lease) LARDER_EXCLUDES(mutex_);
  void Forget(object::LeaseId lease) LARDER_EXCLUDES(mutex_);
  base::Deadline DeadlineOf(uint32_t wait_ms) const;

  ServerContext& server_;
  object::Peer& peer_;
  const std::shared_ptr<const Entrance> entrance_;
  base::UniqueFd fd_;
  Caller caller_;
  std::function<void(Connection&)> closed_cb_;
  const base::MonotonicTime since_;

  // The loop's thread only, but for what an Offload sets while nothing is read.
  object::SessionId session_;
  object::SessionToken token_;
  std::string ns_;
  object::Rights rights_;
  WindowPtr ring_;
  arena::PrivateCharge withheld_;
  bool closed_ = false;
  uint32_t interest_ = EPOLLIN;

  std::atomic<int> held_ = 0;  // reasons not to read on
  base::Mutex mutex_;
  std::map<uint32_t, base::MonotonicTime> revoked_ LARDER_GUARDED_BY(mutex_);  // segments asked back, and since when
  std::set<uint32_t> let_go_ LARDER_GUARDED_BY(mutex_);                        // segments of windows that are over
  std::set<uint32_t> mapped_ LARDER_GUARDED_BY(mutex_);  // segments whose descriptor the client got
  struct Out {
    std::vector<std::byte> record;
    std::vector<base::UniqueFd> fds;
  };
  std::deque<Out> out_ LARDER_GUARDED_BY(mutex_);
  size_t out_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  base::MonotonicTime out_moved_ LARDER_GUARDED_BY(mutex_);  // when the queue began, or last got shorter
  size_t waiting_ LARDER_GUARDED_BY(mutex_) = 0;
  bool gone_ LARDER_GUARDED_BY(mutex_) = false;  // the descriptor is closed
  std::map<object::LeaseId, CreatingPtr> creating_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::transport::uds
