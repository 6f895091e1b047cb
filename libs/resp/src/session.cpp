#include "larder/resp/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "larder/base/error_table.h"
#include "larder/base/status.h"
#include "larder/resp/number.h"
#include "src/command_replies.h"
#include "src/text.h"

namespace larder::resp {
namespace {

constexpr std::string_view kDefaultUser = "default";
constexpr std::string_view kNotAuthenticated = "-NOAUTH Authentication required.";
constexpr std::string_view kHelloNotAuthenticated =
    "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> "
    "<pass> "
    "option can be used to authenticate the client and select the RESP protocol version at the same time";
constexpr std::string_view kWrongPassword = "-WRONGPASS invalid username-password pair or user is disabled.";
constexpr std::string_view kNoPassword =
    "AUTH <password> called without any password configured for the default user. Are you sure your configuration is "
    "correct?";
constexpr std::string_view kBadName = "Client names cannot contain spaces, newlines or special characters.";

bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '!' && c <= '~'; });
}

absl::StatusCode CodeOf(std::string_view reply) {
  if (!reply.starts_with('-')) return absl::StatusCode::kOk;
  const bool who = reply.starts_with("-NOAUTH") || reply.starts_with("-WRONGPASS");
  return who ? absl::StatusCode::kUnauthenticated : absl::StatusCode::kInvalidArgument;
}

}  // namespace

Reply ErrorReply(const absl::Status& status) {
  Reply reply = {.code = status.code()};
  ReplyWriter(reply.bytes, Protocol::kResp2)
      .Error(fmt::format("-{} {}", base::ErrorRowOf(status.code()).resp_prefix, base::Message(status)));
  return reply;
}

Session::Session(int64_t id, const Authenticator* authenticator) : id_(id), authenticator_(authenticator) { Reset(); }

void Session::Reset() {
  authenticated_ = !AuthRequired();
  protocol_ = Protocol::kResp2;
  name_space_ = kDefaultNamespace;
  name_.clear();
  database_ = 0;
}

Outcome Session::Handle(std::span<const std::string_view> arguments, int64_t now_ms) {
  // A browser was made to talk to us: what follows its headers must not be executed.
  if (SameWord(arguments[0], "host:") || SameWord(arguments[0], "post")) return {.close = true};
  Outcome outcome;
  ReplyWriter writer(outcome.reply.bytes, protocol_);
  const Resolved resolved = Resolve(arguments);
  if (resolved.command == nullptr) {
    writer.Error(resolved.error);
  } else if (outcome.op = resolved.command->op; !authenticated_ && !resolved.command->before_auth) {
    writer.Error(kNotAuthenticated);
  } else if (outcome.op == Op::kGet || outcome.op == Op::kSet || outcome.op == Op::kDel) {
    ParsedOperation parsed = ParseOperation(outcome.op, arguments, now_ms);
    if (parsed.error.empty()) {
      outcome.call = Call{std::move(parsed.operation), outcome.op, protocol_, name_space_, database_, nullptr};
    } else {
      writer.Error(parsed.error);
    }
  } else {
    outcome.close = outcome.op == Op::kQuit;
    Connection(outcome.op, arguments, writer);
  }
  outcome.reply.code = CodeOf(outcome.reply.bytes);
  return outcome;
}

void Session::Connection(Op op, Arguments arguments, ReplyWriter& writer) {
  switch (op) {
    case Op::kPing:
      return Ping(arguments, writer);
    case Op::kEcho:
      return writer.Bulk(arguments[1]);
    case Op::kReset:
      Reset();
      return writer.Simple("RESET");
    case Op::kHello:
      return Hello(arguments, writer);
    case Op::kAuth:
      return Auth(arguments, writer);
    case Op::kSelect:
      return Select(arguments, writer);
    case Op::kClientSetname:
      if (!IsPrintable(arguments[2])) return writer.Error(kBadName);
      name_ = arguments[2];
      return writer.Simple("OK");
    case Op::kClientGetname:
      return name_.empty() ? writer.Null() : writer.Bulk(name_);
    case Op::kClientId:
      return writer.Integer(id_);
    case Op::kClientSetinfo:
      return SetInfo(arguments, writer);
    case Op::kCommand:
      return WriteCommandInfo({}, writer);
    case Op::kCommandCount:
      return writer.Integer(static_cast<int64_t>(CommandTable().size()));
    case Op::kCommandDocs:
      return WriteCommandDocs(arguments.subspan(2), writer);
    case Op::kCommandInfo:
      return WriteCommandInfo(arguments.subspan(2), writer);
    default:  // QUIT: only the close behind it
      return writer.Simple("OK");
  }
}

void Session::Ping(Arguments arguments, ReplyWriter& writer) {
  if (arguments.size() > 2) return writer.Error(WrongArity(*FindCommand("ping")));
  arguments.size() == 2 ? writer.Bulk(arguments[1]) : writer.Simple("PONG");
}

void Session::Select(Arguments arguments, ReplyWriter& writer) {
  using Int = std::numeric_limits<int32_t>;
  const std::optional<int64_t> index = ParseInteger(arguments[1]);
  if (!index) return writer.Error("value is not an integer or out of range");
  if (*index < Int::min() || *index > Int::max()) {
    return writer.Error(fmt::format("value is out of range, value must between {} and {}", Int::min(), Int::max()));
  }
  if (*index < 0 || *index >= kDatabases) return writer.Error("DB index is out of range");
  database_ = static_cast<int>(*index);
  writer.Simple("OK");
}

bool Session::Authenticate(std::string_view user, std::string_view password) {
  if (!AuthRequired()) return user == kDefaultUser;
  std::string name_space;
  if (!authenticator_->Check(user, password, name_space)) return false;
  name_space_ = std::move(name_space);
  authenticated_ = true;
  return true;
}

void Session::Auth(Arguments arguments, ReplyWriter& writer) {
  if (arguments.size() > 3) return writer.Error("syntax error");
  if (arguments.size() == 2 && !AuthRequired()) return writer.Error(kNoPassword);
  const std::string_view user = arguments.size() == 2 ? kDefaultUser : arguments[1];
  Authenticate(user, arguments.back()) ? writer.Simple("OK") : writer.Error(kWrongPassword);
}

void Session::SetInfo(Arguments arguments, ReplyWriter& writer) {
  const std::string_view attribute = UntilZero(arguments[2]);
  const bool name = SameWord(attribute, "lib-name");
  if (!name && !SameWord(attribute, "lib-ver")) {
    return writer.Error(fmt::format("Unrecognized option '{}'", attribute));
  }
  if (!IsPrintable(arguments[3])) {
    return writer.Error(
        fmt::format("{} cannot contain spaces, newlines or special characters.", name ? "lib-name" : "lib-ver"));
  }
  writer.Simple("OK");  // nothing shows it
}

void Session::Hello(Arguments arguments, ReplyWriter& writer) {
  std::optional<int64_t> version;
  if (arguments.size() >= 2) {
    version = ParseInteger(arguments[1]);
    if (!version) return writer.Error("Protocol version is not an integer or out of range");
    if (*version < 2 || *version > 3) return writer.Error("-NOPROTO unsupported protocol version");
  }
  // One by one, as Redis: what stands before a bad option has been done.
  for (size_t i = 2; i < arguments.size(); ++i) {
    const std::string_view word = UntilZero(arguments[i]);
    const size_t more = arguments.size() - 1 - i;
    if (SameWord(word, "AUTH") && more >= 2) {
      if (!Authenticate(arguments[i + 1], arguments[i + 2])) return writer.Error(kWrongPassword);
      i += 2;
    } else if (SameWord(word, "SETNAME") && more >= 1) {
      if (!IsPrintable(arguments[++i])) return writer.Error(kBadName);
      name_ = arguments[i];
    } else {
      return writer.Error(fmt::format("Syntax error in HELLO option '{}'", word));
    }
  }
  if (!authenticated_) return writer.Error(kHelloNotAuthenticated);
  if (version) protocol_ = static_cast<Protocol>(*version);
  writer.SetProtocol(protocol_);  // its own reply is the first one in it
  WriteHello(writer);
}

void Session::WriteHello(ReplyWriter& writer) const {
  writer.Map(7);
  writer.Bulk("server");
  writer.Bulk("redis");
  writer.Bulk("version");
  writer.Bulk(kRedisVersion);
  writer.Bulk("proto");
  writer.Integer(static_cast<int64_t>(protocol_));
  writer.Bulk("id");
  writer.Integer(id_);
  writer.Bulk("mode");
  writer.Bulk("standalone");
  writer.Bulk("role");
  writer.Bulk("master");
  writer.Bulk("modules");
  writer.Array(0);
}

}  // namespace larder::resp
