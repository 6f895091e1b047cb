#include "larder/resp/testing/memory_commands.h"

#include <utility>
#include <variant>

namespace larder::resp::testing {

int64_t MemoryCommands::NowMilliseconds() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock_.WallNow().time_since_epoch()).count();
}

void MemoryCommands::Execute(Call call, Done done) {
  Reply reply;
  ReplyWriter writer(reply.bytes, call.protocol);
  {
    base::MutexLock lock(mutex_);
    if (const auto* get = std::get_if<Get>(&call.operation)) Apply(call, *get, writer);
    if (const auto* set = std::get_if<Set>(&call.operation)) Apply(call, *set, writer);
    if (const auto* del = std::get_if<Del>(&call.operation)) Apply(call, *del, writer);
  }
  done(std::move(reply));
}

MemoryCommands::Entry* MemoryCommands::Find(const Key& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  if (found->second.expires_ms && *found->second.expires_ms <= NowMilliseconds()) {
    entries_.erase(found);
    return nullptr;
  }
  return &found->second;
}

void MemoryCommands::Apply(const Call& call, const Get& get, ReplyWriter& writer) {
  const Entry* entry = Find({call.name_space, call.database, std::string(get.key)});
  entry == nullptr ? writer.Null() : writer.Bulk(entry->value);
}

void MemoryCommands::Apply(const Call& call, const Set& set, ReplyWriter& writer) {
  const Key key = {call.name_space, call.database, std::string(set.key)};
  const Entry* before = Find(key);
  const bool holds =
      set.condition == Set::Condition::kAlways || (before == nullptr) == (set.condition == Set::Condition::kIfAbsent);
  if (set.get) {
    before == nullptr ? writer.Null() : writer.Bulk(before->value);
  } else {
    holds ? writer.Simple("OK") : writer.Null();
  }
  if (!holds) return;
  Entry entry = {.value = std::string(set.value)};
  if (set.expiry == Set::Expiry::kKeep && before != nullptr) entry.expires_ms = before->expires_ms;
  if (set.expiry == Set::Expiry::kAfter) entry.expires_ms = NowMilliseconds() + set.milliseconds;
  if (set.expiry == Set::Expiry::kAt) entry.expires_ms = set.milliseconds;
  entries_.insert_or_assign(key, std::move(entry));
}

void MemoryCommands::Apply(const Call& call, const Del& del, ReplyWriter& writer) {
  int64_t deleted = 0;
  for (const std::string_view name : del.keys) {
    const Key key = {call.name_space, call.database, std::string(name)};
    if (Find(key) != nullptr) deleted += static_cast<int64_t>(entries_.erase(key));
  }
  writer.Integer(deleted);
}

}  // namespace larder::resp::testing
