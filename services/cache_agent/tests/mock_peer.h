#pragma once
#include <gmock/gmock.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "larder/object/peer.h"

namespace larder::cache_agent {

// A peer of which a test says what it is asked, and answers.
class MockPeer : public object::Peer {
 public:
  using Views = absl::StatusOr<std::shared_ptr<const object::BlobView>>;
  MOCK_METHOD(absl::StatusOr<object::SessionId>, OpenSession, (const object::SessionOwner&, object::LapsedFn),
              (override));
  MOCK_METHOD(void, CloseSession, (object::SessionId), (override));
  MOCK_METHOD(void, Create,
              (object::SessionId, object::CreateRequest, base::Deadline,
               object::Done<absl::StatusOr<object::CreateGrant>>),
              (override));
  MOCK_METHOD(absl::Status, Append, (object::SessionId, object::LeaseId, object::Epoch, base::ByteSpan), (override));
  MOCK_METHOD(void, Seal,
              (object::SessionId, object::LeaseId, object::Epoch, const object::SealRequest&,
               object::Done<absl::StatusOr<object::SealResult>>),
              (override));
  MOCK_METHOD(absl::Status, Discard, (object::SessionId, object::LeaseId, object::Epoch), (override));
  MOCK_METHOD(void, Get,
              (object::SessionId, const std::string&, base::Deadline, object::Done<absl::StatusOr<object::ReadGrant>>),
              (override));
  MOCK_METHOD(Views, ViewOf, (object::SessionId, object::LeaseId), (override));
  MOCK_METHOD(void, Release, (object::SessionId, object::LeaseId), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<object::LeaseId>>, Renew, (object::SessionId), (override));
  MOCK_METHOD(void, Stat, (object::SessionId, const std::string&, object::Done<absl::StatusOr<object::ObjectStat>>),
              (override));
  MOCK_METHOD(void, List,
              (object::SessionId, const object::ListRequest&, object::Done<absl::StatusOr<object::ListPage>>),
              (override));
  MOCK_METHOD(void, Delete, (object::SessionId, const std::string&, object::Done<absl::Status>), (override));
  MOCK_METHOD(void, SetPinned, (object::SessionId, const std::string&, bool, object::Done<absl::Status>), (override));
  MOCK_METHOD(std::vector<object::ObjectInfo>, ListSealed, (const object::ObjectId&, size_t), (const, override));
  MOCK_METHOD(std::optional<object::ObjectInfo>, FindSealed, (const object::ObjectId&), (const, override));
  MOCK_METHOD(std::shared_ptr<const object::BlobView>, SealedView, (const object::ObjectId&, object::Epoch),
              (override));
  MOCK_METHOD(void, Receive,
              (const object::ObjectInfo&, base::Deadline,
               object::Done<absl::StatusOr<std::unique_ptr<object::IncomingCopy>>>),
              (override));
  MOCK_METHOD(void, DropParked, (const object::ObjectId&), (override));
  MOCK_METHOD(absl::Status, SetTracked, (const object::ObjectId&, object::Epoch, const object::TrackedAs&), (override));
  MOCK_METHOD(absl::Status, Drop, (const object::ObjectId&, object::Epoch), (override));
  MOCK_METHOD(void, OnDropped, (object::DroppedFn), (override));
  MOCK_METHOD(void, AskBeforeDropping, (object::MayGoFn), (override));
  MOCK_METHOD(object::PeerUsage, usage, (), (const, override));
  MOCK_METHOD(bool, blocks, (), (const, override));
  MOCK_METHOD(void, BeginWork, (object::SessionId), (override));
  MOCK_METHOD(void, EndWork, (object::SessionId), (override));
  MOCK_METHOD(bool, AwaitRoom,
              (object::SessionId, const absl::Status&, uint64_t, base::Deadline, std::function<void()>), (override));
  MOCK_METHOD(void, ReportDamage, (object::SessionId, object::LeaseId), (override));
  MOCK_METHOD(base::Duration, Tick, (), (override));
};

}  // namespace larder::cache_agent
