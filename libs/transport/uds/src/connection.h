#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "larder/arena/arena.h"
#include "larder/base/gate.h"
#include "larder/base/mutex.h"
#include "larder/object/registries.h"
#include "src/event_loop.h"
#include "src/socket.h"
#include "src/wire.h"

namespace larder::transport::uds {

// What all connections of one listener share.
struct ServerContext {
  object::ListenSettings settings;
  EventLoop* loop = nullptr;
  size_t ungreeted = 0;             // connections before their HELLO; the loop's thread
  base::Gate* offloaded = nullptr;  // work on the executor, which speaks to the loop when it ends
};

// The agent's end of one client. Made, read and closed on the loop's thread; replies may be sent from any.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(ServerContext& server, base::UniqueFd fd, Caller caller, std::function<void(Connection&)> closed);
  absl::Status Start();
  // Gives everything of the client back at once. Idempotent. `why` is empty for an ordinary end.
  void Close(std::string_view why);
  bool greeted() const { return session_.value != 0; }
  base::MonotonicTime since() const { return since_; }
  int32_t pid() const { return caller_.pid; }
  // Replies have waited for the client to read for longer than `limit`.
  bool Stalled(base::MonotonicTime now, base::Duration limit) LARDER_EXCLUDES(mutex_);
  // Frees the windows of creations that nobody has renewed.
  void ForgetLapsed(base::MonotonicTime now) LARDER_EXCLUDES(mutex_);

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
    base::MonotonicTime granted;
    bool compares = false;  // the seal may have to read a whole object
    WindowPtr window;
    uint64_t written = 0;  // bytes appended so far
  };
  using CreatingPtr = std::shared_ptr<Creating>;

  // ---- connection.cpp: records in and out
  void OnEvent(uint32_t events);
  void ReadOne();
  void UpdateInterest();
  void SendQueued();
  // Any thread. A request without id gets no reply.
  void Reply(const Header& request, const absl::Status& status);
  void Reply(const Header& request, base::ByteSpan payload, base::ByteSpan tail = {},
             std::vector<base::UniqueFd> fds = {});
  void Send(const Header& header, base::ByteSpan payload, base::ByteSpan tail, std::vector<base::UniqueFd> fds)
      LARDER_EXCLUDES(mutex_);
  void CloseLater(std::string_view why);
  // Runs `work` on the executor; reads no further record before it ends.
  void Offload(const Header& request, std::function<void()> work);
  // Creations that may have to wait for another client's: so many and no more, while all else is served on. Any thread.
  bool BeginWaiting() LARDER_EXCLUDES(mutex_);
  void EndWaiting() LARDER_EXCLUDES(mutex_);

  // ---- handlers.cpp: one per operation; on the loop's thread
  void Handle(const Header& header, base::ByteSpan payload);
  void Hello(const Header& header, base::ByteReader& in);
  void Create(const Header& header, base::ByteReader& in);
  void Window(const Header& header, base::ByteReader& in);
  void Write(const Header& header, base::ByteReader& in);
  void Seal(const Header& header, base::ByteReader& in);
  void Put(const Header& header, base::ByteReader& in);
  void Discard(const Header& header, base::ByteReader& in);
  void Get(const Header& header, base::ByteReader& in);
  void Read(const Header& header, base::ByteReader& in);
  void List(const Header& header, base::ByteReader& in);
  void Extents(const Header& header, base::ByteReader& in);
  void Malformed(const Header& header, const absl::Status& status);
  void SendObject(const Header& header, uint32_t flags, object::ReadGrant grant);
  // Extents `from`… of `all` on the wire, with descriptors of segments the client does not have.
  absl::StatusOr<std::vector<WireExtent>> Describe(std::span<const object::Extent> all, size_t from,
                                                   std::vector<base::UniqueFd>& fds);
  absl::Status DescribeWindow(const SharedWindow& window, size_t from, base::ByteWriter& out,
                              std::vector<base::UniqueFd>& fds) const;
  absl::Status AppendWindow(const SharedWindow& window, object::LeaseId lease, object::Epoch epoch, uint64_t offset,
                            uint64_t length);
  // Answers a WRITE of `length` bytes.
  void Written(const Header& header, Creating& creating, const absl::Status& appended, uint64_t length);
  CreatingPtr FindCreating(object::LeaseId lease) LARDER_EXCLUDES(mutex_);
  void Forget(object::LeaseId lease) LARDER_EXCLUDES(mutex_);
  base::Deadline DeadlineOf(uint32_t wait_ms) const;

  ServerContext& server_;
  object::Peer& peer_;
  base::UniqueFd fd_;
  Caller caller_;
  std::function<void(Connection&)> closed_cb_;
  const base::MonotonicTime since_;

  // The loop's thread only.
  base::MonotonicTime heard_;  // when the last record came
  object::SessionId session_;
  std::string ns_;
  WindowPtr ring_;
  bool offloaded_ = false;
  bool closed_ = false;
  uint32_t interest_ = EPOLLIN;

  base::Mutex mutex_;
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
