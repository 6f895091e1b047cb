#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/cluster_commands.h"
#include "core/ids.h"
#include "larder/base/clock.h"
#include "larder/base/digest.h"

// Commands about objects, their copies and names. See core/command.h.
namespace larder::tracker {

enum class CopyKind : uint8_t {
  kReplica = 0,
  kStaged = 1,  // the only durable one until the origin has it, or another node
  kLast = kStaged
};

// What a creator says of its object when it seals it.
struct ObjectMeta {
  uint64_t size = 0;          // bytes
  uint32_t piece_length = 0;  // bytes; 0: one piece
  base::Digest digest;
  base::Digest manifest;  // of the piece list
  base::Duration ttl{};   // from the seal on; 0: none
  bool pinned = false;
  uint32_t wanted = 1;  // copies asked for, at least 1
  std::vector<std::string> tags;
  std::string application;
  bool operator==(const ObjectMeta&) const = default;
  static constexpr auto kFields = std::tuple(&ObjectMeta::size, &ObjectMeta::piece_length, &ObjectMeta::digest,
                                             &ObjectMeta::manifest, &ObjectMeta::ttl, &ObjectMeta::pinned,
                                             &ObjectMeta::wanted, &ObjectMeta::tags, &ObjectMeta::application);
};

// --- creation

// -> CreateGranted. The holder's earlier create of the key ends. HELD: another node creates it (it is named);
// EXISTS: sealed, and no overwrite, or a directory; NODE_FENCED.
struct AcquireCreate {
  ObjectId object;
  NodeRef holder;
  bool overwrite = false;
  base::Duration lease{};  // until when all creates of the node live, unless it renews them
  bool operator==(const AcquireCreate&) const = default;
  static constexpr uint8_t kKind = 4;
  static constexpr auto kFields =
      std::tuple(&AcquireCreate::object, &AcquireCreate::holder, &AcquireCreate::overwrite, &AcquireCreate::lease);
};

// All creates of the node live on; it was seen. NODE_FENCED.
struct RenewCreates {
  NodeRef holder;
  base::Duration lease{};
  bool operator==(const RenewCreates&) const = default;
  static constexpr uint8_t kKind = 5;
  static constexpr auto kFields = std::tuple(&RenewCreates::holder, &RenewCreates::lease);
};

// -> Sealed. The older epoch, if any, is superseded. A repeat gets the same answer. EPOCH_STALE: that create is over;
// NODE_FENCED.
struct Seal {
  ObjectId object;
  Epoch epoch;
  NodeRef author;
  CopyKind kind{};
  ObjectMeta meta;
  bool operator==(const Seal&) const = default;
  static constexpr uint8_t kKind = 6;
  static constexpr auto kFields = std::tuple(&Seal::object, &Seal::epoch, &Seal::author, &Seal::kind, &Seal::meta);
};

// Ends a create. Repeatable, also when it is over already. NODE_FENCED.
struct Abandon {
  ObjectId object;
  Epoch epoch;
  NodeRef author;
  bool operator==(const Abandon&) const = default;
  static constexpr uint8_t kKind = 7;
  static constexpr auto kFields = std::tuple(&Abandon::object, &Abandon::epoch, &Abandon::author);
};

// -> Sealed: AcquireCreate and Seal at once, for an object whose bytes exist. If the key has the same content, the
// author's copy becomes one more of it. HELD; EXISTS: other content, and no overwrite; NODE_FENCED.
struct Publish {
  ObjectId object;
  Epoch alias;  // the author's own epoch of it till now; kept
  NodeRef author;
  CopyKind kind{};
  ObjectMeta meta;
  bool overwrite = false;
  bool operator==(const Publish&) const = default;
  static constexpr uint8_t kKind = 8;
  static constexpr auto kFields = std::tuple(&Publish::object, &Publish::alias, &Publish::author, &Publish::kind,
                                             &Publish::meta, &Publish::overwrite);
};

// --- copies. DELETED and SUPERSEDED tell the node to free its copy; EPOCH_STALE: that create never sealed, or has not
// yet; NODE_FENCED.

// The node holds a complete copy. A staged one stays staged until the origin has it, whatever is added.
struct AddLocation {
  BlobId blob;
  Epoch epoch;
  NodeRef holder;
  CopyKind kind{};
  bool operator==(const AddLocation&) const = default;
  static constexpr uint8_t kKind = 9;
  static constexpr auto kFields =
      std::tuple(&AddLocation::blob, &AddLocation::epoch, &AddLocation::holder, &AddLocation::kind);
};

// The node may free its copy. LAST_COPIES: fewer live ones than wanted would stay, and neither the origin stands in
// (it does not for a pinned object) nor evict_last waives it; LAST_STAGED: neither the origin nor another has it.
struct GiveUp {
  BlobId blob;
  Epoch epoch;
  NodeRef holder;
  bool evict_last = false;
  bool operator==(const GiveUp&) const = default;
  static constexpr uint8_t kKind = 10;
  static constexpr auto kFields = std::tuple(&GiveUp::blob, &GiveUp::epoch, &GiveUp::holder, &GiveUp::evict_last);
};

// -> Effect: whether the location was dropped, as nothing of it changed since the reader learnt it.
struct ReportBad {
  BlobId blob;
  Epoch epoch;
  NodeRef holder;  // who was asked; not the one who reports
  LocationVersion version;
  bool operator==(const ReportBad&) const = default;
  static constexpr uint8_t kKind = 11;
  static constexpr auto kFields =
      std::tuple(&ReportBad::blob, &ReportBad::epoch, &ReportBad::holder, &ReportBad::version);
};

// --- names. An epoch 0 means whichever is sealed. NOT_FOUND; EPOCH_STALE: another epoch is sealed.

struct Delete {
  ObjectId object;
  Epoch epoch;
  bool operator==(const Delete&) const = default;
  static constexpr uint8_t kKind = 12;
  static constexpr auto kFields = std::tuple(&Delete::object, &Delete::epoch);
};

// nullopt leaves a value as it is. A TTL counts from now, 0 takes it off.
struct SetMeta {
  ObjectId object;
  Epoch epoch;
  std::optional<base::Duration> ttl;
  std::optional<bool> pinned;
  std::optional<uint32_t> wanted;
  std::optional<std::vector<std::string>> tags;
  bool operator==(const SetMeta&) const = default;
  static constexpr uint8_t kKind = 13;
  static constexpr auto kFields =
      std::tuple(&SetMeta::object, &SetMeta::epoch, &SetMeta::ttl, &SetMeta::pinned, &SetMeta::wanted, &SetMeta::tags);
};

// EXISTS: the target; HELD: one of both is being created.
struct Rename {
  ObjectId object;
  std::string to;  // key in the same namespace
  Epoch epoch;
  bool operator==(const Rename&) const = default;
  static constexpr uint8_t kKind = 14;
  static constexpr auto kFields = std::tuple(&Rename::object, &Rename::to, &Rename::epoch);
};

// A directory that exists without objects in it. EXISTS: it, or an object of that name.
struct MakeDir {
  ObjectId directory;  // its key has no '/' at the end
  bool operator==(const MakeDir&) const = default;
  static constexpr uint8_t kKind = 15;
  static constexpr auto kFields = std::tuple(&MakeDir::directory);
};

// NOT_EMPTY; NOT_FOUND.
struct RemoveDir {
  ObjectId directory;
  bool operator==(const RemoveDir&) const = default;
  static constexpr uint8_t kKind = 16;
  static constexpr auto kFields = std::tuple(&RemoveDir::directory);
};

// --- uploads

// -> TicketGranted. An earlier ticket of the object ends. DELETED, SUPERSEDED, EPOCH_STALE, NODE_FENCED.
struct BeginUpload {
  BlobId blob;
  Epoch epoch;
  NodeRef uploader;
  base::Duration ttl{};
  bool operator==(const BeginUpload&) const = default;
  static constexpr uint8_t kKind = 17;
  static constexpr auto kFields =
      std::tuple(&BeginUpload::blob, &BeginUpload::epoch, &BeginUpload::uploader, &BeginUpload::ttl);
};

// The origin has it: its staged copies are ordinary ones from now on. A repeat gets the same answer. DELETED,
// SUPERSEDED; TICKET_STALE: a newer one, or its time is over; NODE_FENCED.
struct CommitOrigin {
  UploadTicket ticket;
  std::string etag;
  uint32_t crc32c = 0;
  bool operator==(const CommitOrigin&) const = default;
  static constexpr uint8_t kKind = 18;
  static constexpr auto kFields = std::tuple(&CommitOrigin::ticket, &CommitOrigin::etag, &CommitOrigin::crc32c);
};

// What an ended ticket may have left at the origin was removed: it is listed no more. Repeatable. TICKET_LIVE.
struct ForgetTicket {
  UploadTicket ticket;
  bool operator==(const ForgetTicket&) const = default;
  static constexpr uint8_t kKind = 19;
  static constexpr auto kFields = std::tuple(&ForgetTicket::ticket);
};

}  // namespace larder::tracker
