#include "tests/random_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace larder::tracker {
namespace {

// One of the latest, or none.
template <typename T>
T Recent(RandomCommands& random, const std::vector<T>& seen) {
  if (seen.empty()) return T{};
  return seen[seen.size() - 1 - random.Below(std::min<size_t>(seen.size(), 4))];
}

}  // namespace

std::optional<NodeEpoch> RegisteredIn(const Reply& reply) {
  if (const auto* registered = std::get_if<NodeRegistered>(&reply)) return registered->epoch;
  if (const auto* with_key = std::get_if<RegisteredWithKey>(&reply)) return with_key->epoch;
  return std::nullopt;
}

ObjectId RandomCommands::Name() { return {"team", fmt::format("{}", static_cast<char>('a' + Below(4)))}; }

NodeRef RandomCommands::Node() {
  const size_t node = Below(nodes_.size());
  return {fmt::format("n{}", node), nodes_[node]};
}

ObjectMeta RandomCommands::Meta() {
  return {.digest = base::Crc32cDigest(static_cast<uint32_t>(Below(2))),
          .ttl = std::chrono::seconds(Below(4) == 0 ? 5 : 0),
          .pinned = Below(8) == 0,
          .wanted = static_cast<uint32_t>(1 + Below(2))};
}

RandomCommands::Version RandomCommands::AnyVersion() { return Recent(*this, versions_); }

base::Duration RandomCommands::Wait() { return std::chrono::seconds(1 + Below(20)); }

// One item is often all that a node has in a bucket, so that sums are equal at times.
Command RandomCommands::NextOfInventory(const NodeRef& node) {
  const Version version = AnyVersion();
  const InventoryItem item{version.blob, version.epoch, static_cast<CopyKind>(Below(2))};
  const uint8_t bucket = BucketOf(item.blob);
  if (Below(2) == 0) return ConfirmBuckets{node, {{bucket, Below(4) == 0 ? 0 : ItemHash(item)}}};
  SyncBucket page{.holder = node, .bucket = bucket, .to = kEndOfBlobs};
  if (Below(3) == 0) page.to = BlobId{item.blob.value + 1};
  if (Below(4) == 0) page.from = item.blob;
  if (Below(3) > 0) page.items.push_back(item);
  return page;
}

Command RandomCommands::NextOfObjects(const NodeRef& node) {
  const Version version = AnyVersion();
  const auto kind = static_cast<CopyKind>(Below(2));
  switch (Below(16)) {
    case 0:
    case 1:
      return AcquireCreate{Name(), node, Below(2) == 0, Wait()};
    case 2:
    case 3:
      return Seal{Name(), version.epoch, node, kind, Meta()};
    case 4:
      return Abandon{Name(), version.epoch, node};
    case 5:
    case 6:
      return Publish{Name(), Epoch{Below(9)}, node, kind, Meta(), Below(2) == 0};
    case 7:
      return AddLocation{version.blob, version.epoch, node, kind};
    case 8:
      return GiveUp{version.blob, version.epoch, node, Below(2) == 0};
    case 9:
      return ReportBad{version.blob, version.epoch, node, LocationVersion{version.epoch.value + 1}};
    case 10:
      return Delete{Name(), Below(2) == 0 ? Epoch{} : version.epoch};
    case 11:
      return SetMeta{.object = Name(), .ttl = Wait(), .wanted = static_cast<uint32_t>(Below(3))};
    case 12:
      return Rename{Name(), Name().key};
    case 13:
    case 14:
      return NextOfInventory(node);
    default:
      return Below(2) == 0 ? Command(MakeDir{Name()}) : Command(RemoveDir{Name()});
  }
}

Command RandomCommands::NextOfCluster(const NodeRef& node) {
  const Version version = AnyVersion();
  const RespDatabase database{"team", static_cast<uint8_t>(Below(2))};
  const std::string key(1, static_cast<char>('k' + Below(3)));
  switch (Below(15)) {
    case 0:
      return FenceNode{node};
    case 1:
    case 2:
      return MarkNode{node.node, Below(4) == 0, std::nullopt};
    case 3:
    case 4:
      return RenewCreates{node, Wait()};
    case 5:
      return BeginUpload{version.blob, version.epoch, node, Wait()};
    case 6:
      return CommitOrigin{Recent(*this, tickets_), fmt::format("e{}", Below(2)), 1};
    case 7:
      return ForgetTicket{Recent(*this, tickets_)};
    case 8:
      return GrantLease{"lease", fmt::format("h{}", Below(2)), Wait()};
    case 9:
      return Below(2) == 0 ? Command(RenewLease{"lease", Recent(*this, tokens_), Wait()})
                           : Command(ReleaseLease{"lease", Recent(*this, tokens_)});
    case 10:
      return PutPlan{"lease", Recent(*this, tokens_), key};
    case 11:
      return ExpireDue{static_cast<uint32_t>(1 + Below(3))};
    case 12:
      return Below(3) > 0 ? Command(OpenSession{}) : Command(CloseSession{Recent(*this, sessions_)});
    case 13:
      return RespSet{database,      key,
                     "value",       Below(2) == 0 ? Wait() : base::Duration(),
                     Below(2) == 0, static_cast<RespSetIf>(Below(3)),
                     Below(2) == 0};
    default:
      return RespDelete{database, {key}};
  }
}

Command RandomCommands::Next() {
  const NodeRef node = Node();
  if (node.epoch == NodeEpoch{} || Below(20) == 0) {
    RegisterNode registration{node.node, Below(3), "address"};
    if (Below(2) == 0) return registration;
    return RegisterWithKey{std::move(registration), std::string(kPieceKeyBytes, static_cast<char>('0' + Below(3)))};
  }
  return Below(3) > 0 ? NextOfObjects(node) : NextOfCluster(node);
}

void RandomCommands::Saw(const Command& command, const Reply& reply) {
  const auto* with_key = std::get_if<RegisterWithKey>(&command);
  const auto* registration = with_key != nullptr ? &with_key->node : std::get_if<RegisterNode>(&command);
  const auto registered = RegisteredIn(reply);
  if (registration != nullptr && registered) {
    nodes_[static_cast<size_t>(registration->node.back() - '0')] = *registered;
  } else if (const auto* created = std::get_if<CreateGranted>(&reply)) {
    versions_.push_back({created->blob, created->epoch});
  } else if (const auto* sealed = std::get_if<Sealed>(&reply)) {
    versions_.push_back({sealed->blob, sealed->epoch});
  } else if (const auto* ticket = std::get_if<TicketGranted>(&reply)) {
    tickets_.push_back(ticket->ticket);
  } else if (const auto* lease = std::get_if<LeaseGranted>(&reply)) {
    tokens_.push_back(lease->token);
  } else if (const auto* session = std::get_if<SessionOpened>(&reply)) {
    sessions_.push_back(session->session);
  }
}

Entry RandomCommands::NextEntry() {
  now_ = After(now_, std::chrono::milliseconds(Below(1500)));
  Entry entry{.stamp = Below(10) == 0 ? LogTime{now_.ns / 2} : now_};
  if (Below(3) == 0) {
    entry.request = RequestId{Recent(*this, sessions_), 1 + Below(6), 1 + Below(2)};
  }
  if (Below(10) == 0) entry.fence = Fence{"lease", Recent(*this, tokens_)};
  for (uint64_t count = 1 + Below(2) * Below(4); count > 0; --count) entry.commands.push_back(Next());
  return entry;
}

}  // namespace larder::tracker
