#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/request_metrics.h"
#include "larder/base/clock.h"
#include "larder/object/peer_decorator.h"
#include "larder/observe/registry.h"

namespace larder::cache_agent {

// A peer that counts and times what it is asked, and shows what it holds, on /metrics. Nothing else differs.
class MeteredPeer final : public object::PeerDecorator {
 public:
  // Borrows `registry` and `clock`.
  MeteredPeer(std::unique_ptr<object::Peer> peer, observe::Registry& registry, const base::Clock& clock);
  ~MeteredPeer() override;

  absl::StatusOr<object::SessionId> OpenSession(const object::SessionOwner& owner,
                                                object::LapsedFn lapsed = nullptr) override;
  void Create(object::SessionId session, object::CreateRequest request, base::Deadline deadline,
              object::Done<absl::StatusOr<object::CreateGrant>> done) override;
  absl::Status Append(object::SessionId session, object::LeaseId lease, object::Epoch epoch,
                      base::ByteSpan bytes) override;
  void Seal(object::SessionId session, object::LeaseId lease, object::Epoch epoch, const object::SealRequest& request,
            object::Done<absl::StatusOr<object::SealResult>> done) override;
  absl::Status Discard(object::SessionId session, object::LeaseId lease, object::Epoch epoch) override;
  void Get(object::SessionId session, const std::string& key, base::Deadline deadline,
           object::Done<absl::StatusOr<object::ReadGrant>> done) override;
  void GetRange(object::SessionId session, const std::string& key, const object::ByteRange& range,
                base::Deadline deadline, object::Done<absl::StatusOr<object::ReadGrant>> done) override;
  void Release(object::SessionId session, object::LeaseId lease) override;
  absl::StatusOr<std::vector<object::LeaseId>> Renew(object::SessionId session) override;
  void Stat(object::SessionId session, const std::string& key,
            object::Done<absl::StatusOr<object::ObjectStat>> done) override;
  void List(object::SessionId session, const object::ListRequest& request,
            object::Done<absl::StatusOr<object::ListPage>> done) override;
  void Delete(object::SessionId session, const std::string& key, object::Done<absl::Status> done) override;
  void SetPinned(object::SessionId session, const std::string& key, bool pinned,
                 object::Done<absl::Status> done) override;

  RequestTotals totals() const { return metrics_.Totals(); }

 private:
  // Times `call`, which returns a Status or StatusOr, as one request without a store.
  template <typename Call>
  auto Timed(Op op, Call call);
  // `done`, timed from now on as the answer of such a request.
  template <typename T>
  object::Done<T> Timed(Op op, object::Done<T> done);

  // `done`, timed from now on as the answer of a read.
  object::Done<absl::StatusOr<object::ReadGrant>> TimedRead(object::Done<absl::StatusOr<object::ReadGrant>> done);

  const base::Clock& clock_;
  RequestMetrics metrics_;
  std::vector<observe::Registry::Watch> watches_;
};

}  // namespace larder::cache_agent
