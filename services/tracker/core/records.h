#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/command.h"
#include "core/events.h"
#include "core/fields.h"
#include "core/ids.h"
#include "core/table.h"
#include "larder/base/codec.h"
#include "larder/base/status.h"

// What the rows of the table hold; core/layout.h has their keys.
namespace larder::tracker {

// Which events are kept.
struct History {
  uint64_t gone = 0;    // up to this entry, none
  uint64_t events = 0;  // how many
  LogTime oldest;       // of the first
  bool operator==(const History&) const = default;
  static constexpr auto kFields = std::tuple(&History::gone, &History::events, &History::oldest);
};

// The one row that every Apply changes.
struct Meta {
  uint64_t applied_index = 0;
  uint64_t applied_term = 0;
  std::string configuration;
  LogTime now;
  uint64_t last_id = 0;  // the counter that all ids come from
  uint64_t sessions = 0;
  History history;
  bool operator==(const Meta&) const = default;
  static constexpr auto kFields = std::tuple(&Meta::applied_index, &Meta::applied_term, &Meta::configuration,
                                             &Meta::now, &Meta::last_id, &Meta::sessions, &Meta::history);
};

struct NodeRecord {
  uint64_t incarnation = 0;
  NodeEpoch epoch;
  bool fenced = false;
  bool draining = false;
  bool quarantined = false;
  std::string address;
  std::string zone;
  std::string rack;
  LogTime last_seen;
  LogTime creates_until;         // its creates live till then
  LogTime creates_due = kNever;  // when ExpireDue looks next; at or before creates_until
  bool operator==(const NodeRecord&) const = default;
  static constexpr auto kFields =
      std::tuple(&NodeRecord::incarnation, &NodeRecord::epoch, &NodeRecord::fenced, &NodeRecord::draining,
                 &NodeRecord::quarantined, &NodeRecord::address, &NodeRecord::zone, &NodeRecord::rack,
                 &NodeRecord::last_seen, &NodeRecord::creates_until, &NodeRecord::creates_due);
};

// What piece tickets are signed with.
struct PieceKeyRecord {
  uint32_t id = 0;
  std::string secret;
  static constexpr auto kFields = std::tuple(&PieceKeyRecord::id, &PieceKeyRecord::secret);
};

struct Origin {
  UploadTicket ticket;
  ObjectId at;  // its name when it was uploaded
  std::string etag;
  uint32_t crc32c = 0;
  bool operator==(const Origin&) const = default;
  static constexpr auto kFields = std::tuple(&Origin::ticket, &Origin::at, &Origin::etag, &Origin::crc32c);
};

struct PendingCreate {
  Epoch epoch;
  NodeRef author;
  bool operator==(const PendingCreate&) const = default;
  static constexpr auto kFields = std::tuple(&PendingCreate::epoch, &PendingCreate::author);
};

struct SealedVersion {
  Epoch epoch;
  NodeRef author;
  Epoch alias;  // the author's own epoch, if it was published
  ObjectMeta meta;
  LogTime sealed_at;
  LogTime staged_since = kNever;  // kNever: no staged copy
  UploadTicket ticket;            // under way
  std::optional<Origin> origin;
  std::optional<Origin> replaces;  // what an earlier epoch left there, till this one is uploaded
  bool operator==(const SealedVersion&) const = default;
  static constexpr auto kFields =
      std::tuple(&SealedVersion::epoch, &SealedVersion::author, &SealedVersion::alias, &SealedVersion::meta,
                 &SealedVersion::sealed_at, &SealedVersion::staged_since, &SealedVersion::ticket,
                 &SealedVersion::origin, &SealedVersion::replaces);

  LogTime expires() const { return meta.ttl == base::Duration::zero() ? kNever : After(sealed_at, meta.ttl); }
};

// Has at least one of both.
struct ObjectRecord {
  BlobId blob;
  std::optional<SealedVersion> sealed;
  std::optional<PendingCreate> pending;
  bool operator==(const ObjectRecord&) const = default;
  static constexpr auto kFields = std::tuple(&ObjectRecord::blob, &ObjectRecord::sealed, &ObjectRecord::pending);
};

// How many object records came (above 0) or went, by namespace.
using RecordChanges = std::map<std::string, int64_t, std::less<>>;

// A blob's name now.
struct NameRecord {
  ObjectId object;
  static constexpr auto kFields = std::tuple(&NameRecord::object);
};

// Whose create of a node it is.
struct BlobRecord {
  BlobId blob;
  static constexpr auto kFields = std::tuple(&BlobRecord::blob);
};

struct LocationRecord {
  CopyKind kind{};
  NodeEpoch node_epoch;
  LocationVersion version;
  bool operator==(const LocationRecord&) const = default;
  static constexpr auto kFields =
      std::tuple(&LocationRecord::kind, &LocationRecord::node_epoch, &LocationRecord::version);
};

// A node's copies in one bucket. Those that it told of before its current registration are confirmed all the same if
// their blobs are below `told_below` and `told_in` is that registration.
struct BucketRecord {
  uint64_t hash = 0;  // the sum of their ItemHash
  NodeEpoch told_in;
  BlobId told_below;
  bool operator==(const BucketRecord&) const = default;
  static constexpr auto kFields = std::tuple(&BucketRecord::hash, &BucketRecord::told_in, &BucketRecord::told_below);
};

struct TicketRecord {
  BlobId blob;
  Epoch epoch;
  NodeRef uploader;
  ObjectId object;   // its name when the upload began
  LogTime until;     // kNever: committed
  std::string etag;  // empty: not committed
  uint32_t crc32c = 0;
  bool operator==(const TicketRecord&) const = default;
  static constexpr auto kFields =
      std::tuple(&TicketRecord::blob, &TicketRecord::epoch, &TicketRecord::uploader, &TicketRecord::object,
                 &TicketRecord::until, &TicketRecord::etag, &TicketRecord::crc32c);
};

struct LeaseRecord {
  std::string holder;
  LeaseToken token;
  LogTime until;
  bool operator==(const LeaseRecord&) const = default;
  static constexpr auto kFields = std::tuple(&LeaseRecord::holder, &LeaseRecord::token, &LeaseRecord::until);
};

struct PlanRecord {
  LeaseToken token;
  std::string plan;
  static constexpr auto kFields = std::tuple(&PlanRecord::token, &PlanRecord::plan);
};

struct SessionRecord {
  LogTime last_seen;
  LogTime due;  // when ExpireDue looks next; at or before its end
  uint64_t low_water = 1;
  static constexpr auto kFields = std::tuple(&SessionRecord::last_seen, &SessionRecord::due, &SessionRecord::low_water);
  LogTime ends() const { return After(last_seen, kSessionIdle); }
};

// What an entry changed. A row per entry, as most of an entry's events are wanted together.
struct HistoryRecord {
  LogTime at;
  std::vector<Event> events;
  static constexpr auto kFields = std::tuple(&HistoryRecord::at, &HistoryRecord::events);
};

struct RespRecord {
  LogTime until = kNever;
  std::string value;
  static constexpr auto kFields = std::tuple(&RespRecord::until, &RespRecord::value);
};

// A row with no more to say than that it is there.
struct Mark {
  static constexpr auto kFields = std::tuple();
};

template <HasFields R>
std::string EncodeRecord(const R& record) {
  base::ByteWriter out;
  FieldWriter write(out);
  write(record);
  return std::string(base::AsText(out.bytes()));
}

// A record that is not as it was written fails `reader`: the table is damaged.
template <HasFields R>
std::optional<R> DecodeRecord(Reader& reader, std::string_view bytes) {
  base::ByteReader in(base::AsBytes(bytes));
  FieldReader read(in);
  R record;
  read(record);
  if (in.done()) return record;
  reader.Fail(base::Error(absl::StatusCode::kDataLoss, "TABLE_DAMAGED", "a record of {} bytes is not as it was written",
                          bytes.size()));
  return std::nullopt;
}

template <HasFields R>
std::optional<R> Load(Reader& reader, std::string_view key) {
  const auto bytes = reader.Get(key);
  return bytes ? DecodeRecord<R>(reader, *bytes) : std::nullopt;
}

}  // namespace larder::tracker
