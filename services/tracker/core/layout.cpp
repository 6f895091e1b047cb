#include "core/layout.h"

#include "core/inventory_commands.h"

namespace larder::tracker::layout {
namespace {

std::string Row(char area, char kind) { return {area, kind}; }
std::string Name(std::string_view name) { return std::string(name) + '\0'; }

}  // namespace

std::string Number(uint64_t value) {
  std::string bytes(8, '\0');
  for (size_t i = bytes.size(); i-- > 0; value >>= 8) bytes[i] = static_cast<char>(value & 0xff);
  return bytes;
}

uint64_t ParseNumber(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes.substr(0, 8)) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

std::string Meta() { return Row(kInternalArea, 'm'); }
std::string DuePrefix(DueKind kind) { return Row(kInternalArea, 'd') + static_cast<char>(kind); }
std::string Due(DueKind kind, LogTime when, std::string_view id) {
  return DuePrefix(kind) + Number(when.ns) + std::string(id);
}
DueRow ParseDue(std::string_view key) {
  key.remove_prefix(DuePrefix(DueKind::kObject).size());
  return {.when = LogTime{ParseNumber(key)}, .id = std::string(key.substr(8))};
}
std::string Session(ClientSession session) { return Row(kInternalArea, 's') + Number(session.value); }
std::string AnswerPrefix(ClientSession session) { return Row(kInternalArea, 'a') + Number(session.value); }
std::string Answer(ClientSession session, uint64_t sequence) { return AnswerPrefix(session) + Number(sequence); }

std::string NodePrefix() { return Row(kRegistryArea, 'n'); }
std::string Node(std::string_view name) { return NodePrefix() + std::string(name); }
std::string PieceKey() { return Row(kRegistryArea, 'k'); }
std::string ObjectsPrefix() { return Row(kRegistryArea, 'o'); }
std::string ObjectPrefix(std::string_view ns) { return ObjectsPrefix() + Name(ns); }
std::string_view NamespaceOfObject(std::string_view key) {
  key.remove_prefix(ObjectsPrefix().size());
  return key.substr(0, key.find('\0'));
}
std::string Object(const ObjectId& id) { return ObjectPrefix(id.ns) + id.key; }
std::string Directory(const ObjectId& id) { return Object(id) + '/'; }
std::string Blob(BlobId blob) { return Row(kRegistryArea, 'b') + Number(blob.value); }
std::string LocationPrefix(BlobId blob, Epoch epoch) {
  return Row(kRegistryArea, 'l') + Number(blob.value) + Number(epoch.value);
}
std::string Location(BlobId blob, Epoch epoch, std::string_view node) {
  return LocationPrefix(blob, epoch) + std::string(node);
}
std::string InventoryPrefix(std::string_view node, uint8_t bucket) {
  return Row(kRegistryArea, 'i') + Name(node) + static_cast<char>(bucket);
}
std::string InventoryItem(std::string_view node, BlobId blob, Epoch epoch) {
  return InventoryPrefix(node, BucketOf(blob)) + Number(blob.value) + Number(epoch.value);
}
std::string Bucket(std::string_view node, uint8_t bucket) {
  return Row(kRegistryArea, 'h') + Name(node) + static_cast<char>(bucket);
}
std::string CreatePrefix(std::string_view node) { return Row(kRegistryArea, 'c') + Name(node); }
std::string Create(std::string_view node, Epoch epoch) { return CreatePrefix(node) + Number(epoch.value); }
std::string StagedPrefix() { return Row(kRegistryArea, 's'); }
std::string Staged(LogTime since, BlobId blob) { return StagedPrefix() + Number(since.ns) + Number(blob.value); }
std::string Ticket(UploadTicket ticket) { return Row(kRegistryArea, 't') + Number(ticket.value); }
std::string EndedTicketPrefix() { return Row(kRegistryArea, 'u'); }
std::string EndedTicket(UploadTicket ticket) { return EndedTicketPrefix() + Number(ticket.value); }
std::string HistoryPrefix() { return Row(kRegistryArea, 'v'); }
std::string History(uint64_t revision) { return HistoryPrefix() + Number(revision); }
std::string LeasePrefix() { return Row(kRegistryArea, 'e'); }
std::string Lease(std::string_view name) { return LeasePrefix() + std::string(name); }
std::string Plan(std::string_view name) { return Row(kRegistryArea, 'p') + std::string(name); }

std::string RespPrefix(const RespDatabase& database) {
  return std::string(1, kRespArea) + Name(database.ns) + static_cast<char>(database.number);
}
std::string Resp(const RespDatabase& database, std::string_view key) { return RespPrefix(database) + std::string(key); }

}  // namespace larder::tracker::layout
