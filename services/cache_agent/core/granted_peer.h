#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>

#include "larder/base/mutex.h"
#include "larder/object/peer_decorator.h"

namespace larder::cache_agent {

// A peer that keeps sessions to what their owners may do: what they may not is refused before anything is looked up, so
// that not even existence shows. PERMISSION_DENIED (NO_GRANT). Sessions that may do everything cost nothing.
class GrantedPeer final : public object::PeerDecorator {
 public:
  explicit GrantedPeer(std::unique_ptr<object::Peer> peer) : PeerDecorator(std::move(peer)) {}

  absl::StatusOr<object::SessionId> OpenSession(const object::SessionOwner& owner,
                                                object::LapsedFn lapsed = nullptr) override LARDER_EXCLUDES(mutex_);
  void CloseSession(object::SessionId session) override LARDER_EXCLUDES(mutex_);
  void Create(object::SessionId session, object::CreateRequest request, base::Deadline deadline,
              object::Done<absl::StatusOr<object::CreateGrant>> done) override;
  void Get(object::SessionId session, const std::string& key, base::Deadline deadline,
           object::Done<absl::StatusOr<object::ReadGrant>> done) override;
  void GetRange(object::SessionId session, const std::string& key, const object::ByteRange& range,
                base::Deadline deadline, object::Done<absl::StatusOr<object::ReadGrant>> done) override;
  void Stat(object::SessionId session, const std::string& key,
            object::Done<absl::StatusOr<object::ObjectStat>> done) override;
  void List(object::SessionId session, const object::ListRequest& request,
            object::Done<absl::StatusOr<object::ListPage>> done) override;
  void Delete(object::SessionId session, const std::string& key, object::Done<absl::Status> done) override;
  void SetPinned(object::SessionId session, const std::string& key, bool pinned,
                 object::Done<absl::Status> done) override;

 private:
  // Whether the session may.
  absl::Status May(object::SessionId session, object::Verb verb) const LARDER_EXCLUDES(mutex_);

  std::atomic<size_t> restricted_ = 0;  // how many of them there are
  mutable base::Mutex mutex_;
  std::unordered_map<uint64_t, object::SessionOwner> owners_ LARDER_GUARDED_BY(mutex_);  // of those that are restricted
};

}  // namespace larder::cache_agent
