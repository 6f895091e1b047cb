#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "core/ids.h"
#include "core/inventory_commands.h"
#include "larder/base/bytes.h"

// What the commands of an entry are answered with; replicated, as a repeat gets the first answer.
namespace larder::tracker {

// The command did nothing. Programs match code and reason; people read the message.
struct Refusal {
  absl::StatusCode code = absl::StatusCode::kUnknown;
  std::string reason;
  std::string message;
  std::string holder;  // HELD: the node or lease holder that has it
  bool operator==(const Refusal&) const = default;
  static constexpr uint8_t kKind = 0;
  static constexpr auto kFields = std::tuple(&Refusal::code, &Refusal::reason, &Refusal::message, &Refusal::holder);
};

struct Done {
  bool operator==(const Done&) const = default;
  static constexpr uint8_t kKind = 1;
  static constexpr auto kFields = std::tuple();
};

struct NodeRegistered {
  NodeEpoch epoch;
  bool operator==(const NodeRegistered&) const = default;
  static constexpr uint8_t kKind = 2;
  static constexpr auto kFields = std::tuple(&NodeRegistered::epoch);
};

// Where there is a key for piece tickets.
struct RegisteredWithKey {
  NodeEpoch epoch;
  uint32_t piece_key_id = 0;
  std::string piece_key;
  bool operator==(const RegisteredWithKey&) const = default;
  static constexpr uint8_t kKind = 12;
  static constexpr auto kFields =
      std::tuple(&RegisteredWithKey::epoch, &RegisteredWithKey::piece_key_id, &RegisteredWithKey::piece_key);
};

struct CreateGranted {
  BlobId blob;
  Epoch epoch;
  bool operator==(const CreateGranted&) const = default;
  static constexpr uint8_t kKind = 3;
  static constexpr auto kFields = std::tuple(&CreateGranted::blob, &CreateGranted::epoch);
};

struct Sealed {
  BlobId blob;
  Epoch epoch;
  bool operator==(const Sealed&) const = default;
  static constexpr uint8_t kKind = 4;
  static constexpr auto kFields = std::tuple(&Sealed::blob, &Sealed::epoch);
};

struct Effect {
  bool changed = false;
  bool operator==(const Effect&) const = default;
  static constexpr uint8_t kKind = 5;
  static constexpr auto kFields = std::tuple(&Effect::changed);
};

struct TicketGranted {
  UploadTicket ticket;
  ObjectId object;  // the blob's name now, and so its place at the origin
  LogTime until;
  std::string replaces;  // ETag of what is there: If-Match; empty: If-None-Match
  bool operator==(const TicketGranted&) const = default;
  static constexpr uint8_t kKind = 6;
  static constexpr auto kFields =
      std::tuple(&TicketGranted::ticket, &TicketGranted::object, &TicketGranted::until, &TicketGranted::replaces);
};

struct LeaseGranted {
  LeaseToken token;
  LogTime until;
  bool operator==(const LeaseGranted&) const = default;
  static constexpr uint8_t kKind = 7;
  static constexpr auto kFields = std::tuple(&LeaseGranted::token, &LeaseGranted::until);
};

struct SessionOpened {
  ClientSession session;
  bool operator==(const SessionOpened&) const = default;
  static constexpr uint8_t kKind = 8;
  static constexpr auto kFields = std::tuple(&SessionOpened::session);
};

struct Expired {
  uint32_t count = 0;
  bool more = false;  // the limit was reached: propose another
  bool operator==(const Expired&) const = default;
  static constexpr uint8_t kKind = 9;
  static constexpr auto kFields = std::tuple(&Expired::count, &Expired::more);
};

struct BucketsCompared {
  std::vector<uint8_t> differing;  // page through these
  bool operator==(const BucketsCompared&) const = default;
  static constexpr uint8_t kKind = 10;
  static constexpr auto kFields = std::tuple(&BucketsCompared::differing);
};

struct BucketSynced {
  // About an item that does not count as it was told.
  struct Answer {
    InventoryItem item;
    std::string reason;  // as AddLocation's; empty: its kind is the one here
    bool operator==(const Answer&) const = default;
    static constexpr auto kFields = std::tuple(&Answer::item, &Answer::reason);
  };
  BlobId next;  // where the next page begins: at `to`, or before it if the page spans too much
  uint32_t added = 0;
  uint32_t dropped = 0;
  uint32_t staged_lost = 0;  // of the dropped: bytes that no origin has, and maybe no other node
  std::vector<Answer> answers;
  bool operator==(const BucketSynced&) const = default;
  static constexpr uint8_t kKind = 11;
  static constexpr auto kFields = std::tuple(&BucketSynced::next, &BucketSynced::added, &BucketSynced::dropped,
                                             &BucketSynced::staged_lost, &BucketSynced::answers);
};

struct RespSetDone {
  bool stored = false;             // the condition held
  std::optional<std::string> old;  // asked for, and there was one
  bool operator==(const RespSetDone&) const = default;
  static constexpr uint8_t kKind = 64;
  static constexpr auto kFields = std::tuple(&RespSetDone::stored, &RespSetDone::old);
};

struct Count {
  uint64_t count = 0;
  bool operator==(const Count&) const = default;
  static constexpr uint8_t kKind = 65;
  static constexpr auto kFields = std::tuple(&Count::count);
};

using Reply =
    std::variant<Refusal, Done, NodeRegistered, RegisteredWithKey, CreateGranted, Sealed, Effect, TicketGranted,
                 LeaseGranted, SessionOpened, Expired, BucketsCompared, BucketSynced, RespSetDone, Count>;

// One reply per command of an entry. A u8 format version leads.
inline constexpr uint8_t kReplyFormat = 1;
std::string EncodeReplies(const std::vector<Reply>& replies);
// DATA_LOSS (BAD_REPLY) for what EncodeReplies does not make.
absl::StatusOr<std::vector<Reply>> DecodeReplies(base::ByteSpan bytes);

}  // namespace larder::tracker
