#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "larder/base/mutex.h"
#include "larder/object/transport.h"
#include "src/link.h"
#include "src/segments.h"

namespace larder::transport::uds {

// What the agent said at HELLO.
struct Welcome {
  base::Duration lease_ttl{};
  uint32_t inline_limit = kInlineLimit;
  uint32_t piece_limit = kPieceLimit;
  std::string ns;
  std::string node;
};

// The slots of a connection's ring, through which its writers' bytes pass. Thread-safe.
class Ring {
 public:
  static constexpr uint64_t kSlot = 1024 * 1024;
  static constexpr uint64_t kSlots = 4;

  explicit Ring(Link& link) : link_(link) {}
  // A slot for one writer, to be given back when the agent has copied it. None if all are taken, or the agent gives no
  // ring.
  std::optional<uint64_t> Take() LARDER_EXCLUDES(mutex_);
  void Give(uint64_t slot) LARDER_EXCLUDES(mutex_);
  base::MutableByteSpan bytes(uint64_t slot) const { return {mapping_->data() + slot * kSlot, kSlot}; }
  // Returns the memory if nobody has written since the last call.
  void ReturnIdle() LARDER_EXCLUDES(mutex_);

 private:
  bool Open() LARDER_REQUIRES(mutex_);
  Link& link_;
  base::Mutex mutex_;
  std::unique_ptr<Mapping> mapping_;  // set under the lock, by whoever takes the first slot
  std::vector<uint32_t> segments_ LARDER_GUARDED_BY(mutex_);
  std::vector<uint64_t> free_ LARDER_GUARDED_BY(mutex_);
  bool used_ LARDER_GUARDED_BY(mutex_) = false;
  bool refused_ LARDER_GUARDED_BY(mutex_) = false;  // until the next ReturnIdle
};

// Asks for a window (`lease` 0: the ring) and maps it; RESOURCE_EXHAUSTED when there is none to be had. `segments`, if
// given, gets their ids.
absl::StatusOr<std::unique_ptr<Mapping>> MapWindow(Link& link, object::LeaseId lease, uint64_t size,
                                                   std::vector<uint32_t>* segments = nullptr);

// One connection with its mappings; shared by the channel and all writers and readers that came from it.
class Session final : public Absorber {
 public:
  static absl::StatusOr<std::shared_ptr<Session>> Open(const std::string& directory,
                                                       const object::DialOptions& options);
  explicit Session(base::UniqueFd fd) : link(std::move(fd), *this) {}
  ~Session() override;

  void Absorb(Op op, Reply& reply) override;
  // From the first lease on, renews all of them every third of their TTL.
  void KeepRenewing() LARDER_EXCLUDES(mutex_);
  // Unmaps what is over the limit, and says so.
  void TrimSegments();
  void SayUnmapped(const std::vector<uint32_t>& ids);
  // A CREATE, or a GET, that waits at most until `deadline`: what to tell the agent, and how long to wait for its
  // answer.
  static uint32_t WaitMs(base::Deadline deadline);
  static base::Deadline AnswerBy(base::Deadline deadline);

  Link link;
  Segments segments;
  Ring ring{link};
  Welcome welcome;

 private:
  void Renew();
  base::Mutex mutex_;
  base::CondVar stop_;
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
  std::atomic<bool> renewing_{false};
  std::thread renewer_;
};

absl::StatusOr<std::unique_ptr<object::ObjectWriter>> OpenWriter(std::shared_ptr<Session> session,
                                                                 const object::CreateRequest& request,
                                                                 base::Deadline deadline);
absl::StatusOr<std::unique_ptr<object::ObjectReader>> OpenReader(std::shared_ptr<Session> session,
                                                                 const std::string& key, base::Deadline deadline);

class UdsChannel final : public object::Channel {
 public:
  explicit UdsChannel(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  absl::StatusOr<std::unique_ptr<object::ObjectWriter>> Create(const object::CreateRequest& request,
                                                               base::Deadline deadline) override;
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> Get(const std::string& key, base::Deadline deadline) override;
  absl::StatusOr<object::SealResult> Put(const object::CreateRequest& request, base::ByteSpan bytes,
                                         base::Deadline deadline) override;
  absl::StatusOr<object::ObjectInfo> Stat(const std::string& key) override;
  absl::StatusOr<object::ListPage> List(const object::ListRequest& request) override;
  absl::Status Delete(const std::string& key) override;
  absl::Status SetPinned(const std::string& key, bool pinned) override;
  const std::string& ns() const override { return session_->welcome.ns; }
  const std::string& node() const override { return session_->welcome.node; }
  bool broken() const override { return session_->link.broken(); }

 private:
  std::shared_ptr<Session> session_;
};

}  // namespace larder::transport::uds
