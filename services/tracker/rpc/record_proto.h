#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/queries.h"
#include "core/records.h"
#include "larder/base/clock.h"
#include "larder/base/digest.h"
#include "larder/tracker/v1/tracker.pb.h"
#include "rpc/field_errors.h"

// What commands, replies and answers share, as messages and as values. Pure.
namespace larder::tracker {

// INVALID_ARGUMENT (BAD_NAMESPACE, BAD_KEY).
absl::Status CheckName(const ObjectId& id);
// How many entries a page has, where 0 asks for as many as there may be.
uint32_t PageLimit(uint32_t page_size);

ObjectId FromProto(const v1::ObjectId& id);
NodeRef FromProto(const v1::NodeRef& ref);
ObjectMeta FromProto(const v1::ObjectMeta& meta, FieldErrors& errors);
CopyKind FromProto(v1::CopyKind kind, FieldErrors& errors);
// Of the field `field`. What is negative or above 2^63 ns, longer than `max` bytes, too many or too long to be tags, is
// told to `errors`.
base::Duration DurationOf(int64_t ms, std::string_view field, FieldErrors& errors);
std::string TextOf(const std::string& text, size_t max, std::string_view field, FieldErrors& errors);
using TagList = google::protobuf::RepeatedPtrField<std::string>;
std::vector<std::string> TagsOf(const TagList& tags, std::string_view field, FieldErrors& errors);

v1::ObjectId ToProto(const ObjectId& id);
v1::NodeRef ToProto(const NodeRef& ref);
v1::ObjectMeta ToProto(const ObjectMeta& meta);
v1::CopyKind ToProto(CopyKind kind);
// What is left until `end`, rounded up, and what has passed since `begin`, rounded down; 0 if it is the other way
// round.
int64_t MillisecondsLeft(LogTime now, LogTime end);
int64_t MillisecondsSince(LogTime now, LogTime begin);
v1::Object ToProto(const ObjectId& id, const ObjectRecord& record, LogTime now);
v1::LocatedObject ToProto(const ObjectStat& stat, LogTime now);

}  // namespace larder::tracker
