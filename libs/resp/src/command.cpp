#include "larder/resp/command.h"

#include <fmt/format.h>

#include "src/text.h"

namespace larder::resp {
namespace {

std::vector<CommandSpec> MakeTable() {
  const std::vector<std::string_view> connection = {"noscript", "loading", "stale"};
  const std::vector<std::string_view> fast = {"noscript", "loading", "stale", "fast", "no_auth", "allow_busy"};
  std::vector<CommandSpec> client = {
      {Op::kClientGetname, "client|getname", 2, connection, 0, 0, 0, "connection", "Get the connection name", "2.6.9"},
      {Op::kClientId, "client|id", 2, connection, 0, 0, 0, "connection",
       "Returns the client ID for the current connection", "5.0.0"},
      {Op::kClientSetinfo, "client|setinfo", 4, connection, 0, 0, 0, "connection",
       "Set client or connection specific info", "7.2.0"},
      {Op::kClientSetname, "client|setname", 3, connection, 0, 0, 0, "connection", "Set the current connection name",
       "2.6.9"},
  };
  const std::vector<std::string_view> read = {"loading", "stale"};
  std::vector<CommandSpec> command = {
      {Op::kCommandCount, "command|count", 2, read, 0, 0, 0, "server", "Get total number of Redis commands", "2.8.13"},
      {Op::kCommandDocs, "command|docs", -2, read, 0, 0, 0, "server",
       "Get array of specific Redis command documentation", "7.0.0"},
      {Op::kCommandInfo, "command|info", -2, read, 0, 0, 0, "server",
       "Get array of specific Redis command details, or all when no argument is given.", "2.8.13"},
  };
  return {
      {Op::kAuth, "auth", -2, fast, 0, 0, 0, "connection", "Authenticate to the server", "1.0.0", true},
      {Op::kClient,
       "client",
       -2,
       {},
       0,
       0,
       0,
       "connection",
       "A container for client connection commands",
       "2.4.0",
       false,
       client},
      {Op::kCommand, "command", -1, read, 0, 0, 0, "server", "Get array of Redis command details", "2.8.13", false,
       command},
      {Op::kDel, "del", -2, {"write"}, 1, -1, 1, "generic", "Delete a key"},
      {Op::kEcho, "echo", 2, {"loading", "stale", "fast"}, 0, 0, 0, "connection", "Echo the given string"},
      {Op::kGet, "get", 2, {"readonly", "fast"}, 1, 1, 1, "string", "Get the value of a key"},
      {Op::kHello, "hello", -1, fast, 0, 0, 0, "connection", "Handshake with Redis", "6.0.0", true},
      {Op::kPing, "ping", -1, {"fast"}, 0, 0, 0, "connection", "Ping the server"},
      {Op::kQuit, "quit", -1, fast, 0, 0, 0, "connection", "Close the connection", "1.0.0", true},
      {Op::kReset, "reset", 1, fast, 0, 0, 0, "connection", "Reset the connection", "6.2.0", true},
      {Op::kSelect,
       "select",
       2,
       {"loading", "stale", "fast"},
       0,
       0,
       0,
       "connection",
       "Change the selected database for the current connection"},
      {Op::kSet, "set", -3, {"write", "denyoom"}, 1, 1, 1, "string", "Set the string value of a key"},
  };
}

const std::vector<CommandSpec>& Table() {
  static const std::vector<CommandSpec> kTable = MakeTable();
  return kTable;
}

const CommandSpec* FindIn(std::span<const CommandSpec> commands, std::string_view name) {
  for (const CommandSpec& command : commands) {
    if (SameWord(command.name, name)) return &command;
  }
  return nullptr;
}

std::string UnknownCommand(std::span<const std::string_view> arguments) {
  // Redis shows at most that much of the command, and of what follows it.
  constexpr size_t kShown = 128;
  std::string rest;
  for (size_t i = 1; i < arguments.size() && rest.size() < kShown; ++i) {
    rest += fmt::format("'{}' ", UntilZero(arguments[i]).substr(0, kShown - rest.size()));
  }
  return fmt::format("unknown command '{}', with args beginning with: {}", UntilZero(arguments[0]).substr(0, kShown),
                     rest);
}

}  // namespace

std::span<const CommandSpec> CommandTable() { return Table(); }

const CommandSpec* FindCommand(std::string_view name) {
  const size_t bar = name.find('|');
  const CommandSpec* command = FindIn(Table(), name.substr(0, bar));
  if (command == nullptr || bar == std::string_view::npos) return command;
  return FindIn(command->subcommands, name);
}

std::string_view LabelText(Op op) {
  switch (op) {
    case Op::kOther:
      return "other";
    case Op::kAuth:
      return "auth";
    case Op::kClient:
      return "client";
    case Op::kClientGetname:
      return "client_getname";
    case Op::kClientId:
      return "client_id";
    case Op::kClientSetinfo:
      return "client_setinfo";
    case Op::kClientSetname:
      return "client_setname";
    case Op::kCommand:
      return "command";
    case Op::kCommandCount:
      return "command_count";
    case Op::kCommandDocs:
      return "command_docs";
    case Op::kCommandInfo:
      return "command_info";
    case Op::kDel:
      return "del";
    case Op::kEcho:
      return "echo";
    case Op::kGet:
      return "get";
    case Op::kHello:
      return "hello";
    case Op::kPing:
      return "ping";
    case Op::kQuit:
      return "quit";
    case Op::kReset:
      return "reset";
    case Op::kSelect:
      return "select";
    case Op::kSet:
      return "set";
  }
  return "other";
}

std::string WrongArity(const CommandSpec& command) {
  return fmt::format("wrong number of arguments for '{}' command", command.name);
}

Resolved Resolve(std::span<const std::string_view> arguments) {
  const CommandSpec* command = FindIn(Table(), arguments[0]);
  if (command == nullptr) return {.error = UnknownCommand(arguments)};
  if (!command->subcommands.empty() && arguments.size() > 1) {
    const CommandSpec* sub = FindIn(command->subcommands, fmt::format("{}|{}", command->name, arguments[1]));
    if (sub == nullptr) {
      return {.error = fmt::format("unknown subcommand '{}'. Try {} HELP.", UntilZero(arguments[1]).substr(0, 128),
                                   Upper(command->name))};
    }
    command = sub;
  }
  const auto words = static_cast<int>(arguments.size());
  if (command->arity > 0 ? words != command->arity : words < -command->arity) return {.error = WrongArity(*command)};
  return {.command = command};
}

}  // namespace larder::resp
