#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/cluster_commands.h"
#include "core/ids.h"

// The keys of the table's rows. The first byte parts the areas: what a member keeps for itself, the registry, and the
// data of the Redis protocol, whose keys go on with the namespace and the database. Names end with a NUL, which no name
// has; numbers are big-endian, so that rows are in their order.
namespace larder::tracker::layout {

inline constexpr char kInternalArea = 1;
inline constexpr char kRegistryArea = 2;
inline constexpr char kRespArea = 3;

// --- internal
std::string Meta();
enum class DueKind : uint8_t { kObject = 0, kCreates = 1, kLease = 2, kTicket = 3, kSession = 4, kResp = 5 };
inline constexpr int kDueKinds = 6;
// What is due when; `id` says what: a number of ours as Number makes it, a name, a row's key.
std::string DuePrefix(DueKind kind);
std::string Due(DueKind kind, LogTime when, std::string_view id);
struct DueRow {
  LogTime when;
  std::string id;
};
// Of a key that Due made.
DueRow ParseDue(std::string_view key);
std::string Session(ClientSession session);
std::string AnswerPrefix(ClientSession session);
std::string Answer(ClientSession session, uint64_t sequence);

// --- registry
std::string NodePrefix();
std::string Node(std::string_view name);
std::string PieceKey();
std::string ObjectsPrefix();
std::string ObjectPrefix(std::string_view ns);  // followed by the key
// Of a key that begins with ObjectsPrefix; a view into it.
std::string_view NamespaceOfObject(std::string_view key);
std::string Object(const ObjectId& id);
// A directory is a row among the objects, its key with '/' behind it, which no object's key has.
std::string Directory(const ObjectId& id);
std::string Blob(BlobId blob);
std::string LocationPrefix(BlobId blob, Epoch epoch);  // followed by the node's name
std::string Location(BlobId blob, Epoch epoch, std::string_view node);
// What a node has: a row per location of it, by bucket; and a row per bucket.
std::string InventoryPrefix(std::string_view node, uint8_t bucket);  // followed by the blob
std::string InventoryItem(std::string_view node, BlobId blob, Epoch epoch);
std::string Bucket(std::string_view node, uint8_t bucket);
std::string CreatePrefix(std::string_view node);
std::string Create(std::string_view node, Epoch epoch);
std::string StagedPrefix();
std::string Staged(LogTime since, BlobId blob);
std::string Ticket(UploadTicket ticket);
std::string EndedTicketPrefix();
std::string EndedTicket(UploadTicket ticket);
std::string HistoryPrefix();
std::string History(uint64_t revision);
std::string LeasePrefix();
std::string Lease(std::string_view name);
std::string Plan(std::string_view name);

// --- Redis protocol
std::string RespPrefix(const RespDatabase& database);  // followed by the key
std::string Resp(const RespDatabase& database, std::string_view key);

// Eight bytes in the numbers' order, and back.
std::string Number(uint64_t value);
uint64_t ParseNumber(std::string_view bytes);

}  // namespace larder::tracker::layout
