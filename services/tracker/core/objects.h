#pragma once
#include <optional>
#include <string>

#include "core/change.h"
#include "core/records.h"

// What commands about objects and nodes have in common.
namespace larder::tracker {

struct Object {
  ObjectId id;
  ObjectRecord record;
};

// The object by its name or blob, after what is over by log time (its TTL, its create) was ended.
std::optional<Object> FindObject(Change& change, const ObjectId& id);
std::optional<Object> FindBlob(Change& change, BlobId blob);
// One that nothing is known of yet. Save it then.
Object NewObject(Change& change, const ObjectId& id);
// Stores the record; or removes it, once nothing is sealed or pending.
void Save(Change& change, const Object& object);
// Ends the pending create, if there is one. Save it then.
void EndCreate(Change& change, Object& object);
// Forgets the sealed version with its locations, and lists what it has, or may have, at the origin. `why` is kDeleted
// or kExpired. Save it then.
void DropSealed(Change& change, Object& object, EventKind why);
// The same, but another epoch takes its place: returns what the origin holds, for the next upload to replace.
std::optional<Origin> Supersede(Change& change, Object& object);
// The ticket is listed among the ended from now on.
void EndTicket(Change& change, UploadTicket ticket);

// Watchers are told of one of the object's epochs, and of the node that did it or has the copy.
void Tell(Change& change, EventKind kind, const Object& object, Epoch epoch,
          const std::optional<NodeRef>& node = std::nullopt);

// The sealed version has a copy there, confirmed now. Save it then.
void AddCopy(Change& change, Object& object, const NodeRef& holder, CopyKind kind);
// It has none there any more. Save it then.
void RemoveCopy(Change& change, Object& object, const std::string& node);

// All creates of the node end.
void EndCreatesOf(Change& change, const std::string& node, NodeRecord& record);
// The node's record, if `ref` is its registration and it may act.
std::optional<NodeRecord> FindActive(Change& change, const NodeRef& ref);
Refusal Fenced(const NodeRef& ref);

// Whether the object's sealed epoch is `epoch`; else what to say to a node that has a copy of that.
std::optional<Refusal> RefuseEpoch(const std::optional<Object>& object, Epoch epoch);
std::optional<Refusal> RefuseName(const ObjectId& id);
std::optional<Refusal> RefuseWait(base::Duration wait);

}  // namespace larder::tracker
