#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::resp {

// Every command this library knows, subcommands included; kOther stands for what it does not know.
enum class Op : uint8_t {
  kOther,
  kAuth,
  kClient,
  kClientGetname,
  kClientId,
  kClientSetinfo,
  kClientSetname,
  kCommand,
  kCommandCount,
  kCommandDocs,
  kCommandInfo,
  kDel,
  kEcho,
  kGet,
  kHello,
  kPing,
  kQuit,
  kReset,
  kSelect,
  kSet,
};

// A declared command. Constants of the program.
struct CommandSpec {
  Op op = Op::kOther;
  std::string_view name;  // as errors and metrics show it: "get", "client|setname"
  int arity = 0;          // words, the command's own included; negative: at least that many
  std::vector<std::string_view> flags;
  int first_key = 0, last_key = 0, key_step = 0;  // as COMMAND INFO has them
  std::string_view group;
  std::string_view summary;
  std::string_view since = "1.0.0";
  bool before_auth = false;  // answered although the client has not authenticated
  std::vector<CommandSpec> subcommands;
};

// All commands, by name.
std::span<const CommandSpec> CommandTable();
// The command of that name, in any case, "client|setname" for a subcommand; null: unknown.
const CommandSpec* FindCommand(std::string_view name);
// The label of `larder_resp_commands_total{op}`: the name with `_` for `|`.
std::string_view LabelText(Op op);

struct Resolved {
  const CommandSpec* command = nullptr;  // null: `error` says why, as Redis words it
  std::string error;
};
// Which command a request means, and whether it has as many words as that takes. `arguments` is not empty. Pure.
Resolved Resolve(std::span<const std::string_view> arguments);

std::string WrongArity(const CommandSpec& command);

}  // namespace larder::resp
