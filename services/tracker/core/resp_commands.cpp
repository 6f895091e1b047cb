#include "core/resp_commands.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "core/queries.h"
#include "larder/base/status.h"

namespace larder::tracker {
namespace {

constexpr auto kLongestTtl = std::chrono::duration_cast<std::chrono::milliseconds>(base::Duration::max());

RespDatabase DatabaseOf(const resp::Call& call) {
  return {.ns = call.name_space, .number = static_cast<uint8_t>(call.database)};
}

// The reply that `write` makes of the first reply of the registry.
template <typename Made, typename Write>
resp::Reply ReplyTo(const absl::StatusOr<std::vector<Reply>>& replies, resp::Protocol protocol, Write write) {
  if (!replies.ok()) return resp::ErrorReply(replies.status());
  if (const auto* refusal = std::get_if<Refusal>(&replies->front())) {
    return resp::ErrorReply(base::MakeError(refusal->code, refusal->reason, refusal->message));
  }
  resp::Reply reply;
  resp::ReplyWriter writer(reply.bytes, protocol);
  write(std::get<Made>(replies->front()), writer);
  return reply;
}

void WriteValue(resp::ReplyWriter& writer, const std::optional<std::string>& value) {
  value ? writer.Bulk(*value) : writer.Null();
}

}  // namespace

void RespCommands::Execute(resp::Call call, resp::Done done) {
  std::visit([&](const auto& operation) { Execute(call, operation, std::move(done)); }, call.operation);
}

void RespCommands::Execute(const resp::Call& call, const resp::Get& get, resp::Done done) {
  consensus_.Read([database = DatabaseOf(call), key = get.key, bytes = call.bytes, protocol = call.protocol,
                   done = std::move(done)](const absl::Status& status, Reader* reader) {
    if (!status.ok()) return done(resp::ErrorReply(status));
    const absl::StatusOr<std::optional<std::string>> value = RespGet(*reader, database, key);
    if (!value.ok()) return done(resp::ErrorReply(value.status()));
    resp::Reply reply;
    resp::ReplyWriter writer(reply.bytes, protocol);
    WriteValue(writer, *value);
    done(std::move(reply));
  });
}

void RespCommands::Execute(const resp::Call& call, const resp::Set& set, resp::Done done) {
  RespSet command{.database = DatabaseOf(call),
                  .key = std::string(set.key),
                  .value = std::string(set.value),
                  .keep_ttl = set.expiry == resp::Set::Expiry::kKeep,
                  .condition = set.condition == resp::Set::Condition::kAlways     ? RespSetIf::kAlways
                               : set.condition == resp::Set::Condition::kIfAbsent ? RespSetIf::kAbsent
                                                                                  : RespSetIf::kPresent,
                  .get = set.get};
  if (set.expiry == resp::Set::Expiry::kAfter || set.expiry == resp::Set::Expiry::kAt) {
    std::chrono::milliseconds left(set.milliseconds);
    if (set.expiry == resp::Set::Expiry::kAt) {
      left -= std::chrono::duration_cast<std::chrono::milliseconds>(clock_.WallNow().time_since_epoch());
    }
    command.ttl = left.count() > 0 ? std::min<base::Duration>(left, kLongestTtl) : kRespOver;
  }
  consensus_.Propose(
      {.commands = {std::move(command)}}, [protocol = call.protocol, get = set.get,
                                           done = std::move(done)](const absl::StatusOr<std::vector<Reply>>& replies) {
        done(ReplyTo<RespSetDone>(replies, protocol, [get](const RespSetDone& made, resp::ReplyWriter& writer) {
          if (get) return WriteValue(writer, made.old);
          made.stored ? writer.Simple("OK") : writer.Null();
        }));
      });
}

void RespCommands::Execute(const resp::Call& call, const resp::Del& del, resp::Done done) {
  RespDelete command{.database = DatabaseOf(call)};
  for (const std::string_view key : del.keys) command.keys.emplace_back(key);
  consensus_.Propose({.commands = {std::move(command)}}, [protocol = call.protocol, done = std::move(done)](
                                                             const absl::StatusOr<std::vector<Reply>>& replies) {
    done(ReplyTo<Count>(replies, protocol, [](const Count& count, resp::ReplyWriter& writer) {
      writer.Integer(static_cast<int64_t>(count.count));
    }));
  });
}

}  // namespace larder::tracker
